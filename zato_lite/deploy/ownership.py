"""What a file claims for itself alone: names, channels, jobs. Pure: who may have what."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from zato_lite.errors import ConflictError, ServiceExistsError, ZatoLiteError

SERVICE = "Service"


class Claim(NamedTuple):
    """Something that one file only can have.

    Attributes:
        kind: what it is, in a word: Service, Channel, Job.
        key: what tells two of a kind apart.
    """

    kind: str
    key: str


class Refusal(NamedTuple):
    """The claim that an owner cannot have, and who has it."""

    claim: Claim
    holder: str

    @property
    def error(self) -> ZatoLiteError:
        """What is told."""
        cls = ServiceExistsError if self.claim.kind == SERVICE else ConflictError
        return cls(f"{self.claim.kind} `{self.claim.key}` already exists, in {self.holder}")


def unique(claims: Iterable[Claim], owner: str) -> tuple[Claim, ...]:
    """The claims of one owner.

    Raises:
        ConflictError: one of them comes twice.
    """
    found: dict[Claim, None] = {}
    for claim in claims:
        if claim in found:
            cls = ServiceExistsError if claim.kind == SERVICE else ConflictError
            raise cls(f"{claim.kind} `{claim.key}` is twice in {owner}")
        found[claim] = None
    return tuple(found)


def refusals(
    held: Mapping[str, Iterable[Claim]], offered: Mapping[str, Sequence[Claim]]
) -> dict[str, Refusal]:
    """Which of the offers cannot be taken, when all others are taken at once.

    An offer replaces all that its owner holds; who is refused goes on holding that. Who has a
    thing keeps it against who wants it; of two who want it, the first one gets it.
    """
    found: dict[str, Refusal] = {}
    while True:
        taken = {
            claim: owner
            for owner, claims in held.items()
            if owner not in offered or owner in found
            for claim in claims
        }
        left = {owner: claims for owner, claims in offered.items() if owner not in found}
        refusal = _first_refusal(left, taken) or _first_refusal(left, _kept(held, left))
        if refusal is None:
            return found
        found[refusal[0]] = refusal[1]


def _kept(
    held: Mapping[str, Iterable[Claim]], offered: Mapping[str, Sequence[Claim]]
) -> dict[Claim, str]:
    """Who is to have what of the offers: who has it already, or else the first one."""
    owners: dict[Claim, str] = {}
    for owner, claims in offered.items():
        before = {*held.get(owner, ())}
        for claim in claims:
            if claim in before:
                owners[claim] = owner
    for owner, claims in offered.items():
        for claim in claims:
            owners.setdefault(claim, owner)
    return owners


def _first_refusal(
    offered: Mapping[str, Sequence[Claim]], owners: Mapping[Claim, str]
) -> tuple[str, Refusal] | None:
    for owner, claims in offered.items():
        for claim in claims:
            if owners.get(claim, owner) != owner:
                return owner, Refusal(claim, owners[claim])
    return None
