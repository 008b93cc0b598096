"""Ownership: the file to which a service name, a REST channel or a declared job belongs. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from zato_lite.errors import ConflictError, ServiceExistsError, ZatoLiteError

SERVICE = "Service"
"""Kind of the claim to a service name."""


class Claim(NamedTuple):
    """A thing that only one file can own.

    Attributes:
        kind: Service, Channel or Job.
        key: distinguishes claims of a kind.
    """

    kind: str
    key: str


class Refusal(NamedTuple):
    """A claim that cannot be granted, and its present owner."""

    claim: Claim
    holder: str

    @property
    def error(self) -> ZatoLiteError:
        """The error that the refused file is reported with."""
        return _conflict(self.claim, f"already exists, in {self.holder}")


def unique(claims: Iterable[Claim], owner: str) -> tuple[Claim, ...]:
    """Return the claims of one owner.

    Raises:
        ConflictError: a claim occurs twice.
    """
    found: dict[Claim, None] = {}
    for claim in claims:
        if claim in found:
            raise _conflict(claim, f"is declared twice in {owner}")
        found[claim] = None
    return tuple(found)


def refusals(
    held: Mapping[str, Iterable[Claim]], offered: Mapping[str, Sequence[Claim]]
) -> dict[str, Refusal]:
    """Return the offers that cannot be accepted if all others are accepted together.

    An accepted offer replaces all claims of its owner; a refused owner keeps those it holds. A
    holder has priority over others; among offers of a free thing, the first one has.
    """
    refused: dict[str, Refusal] = {}
    while True:
        left = {owner: claims for owner, claims in offered.items() if owner not in refused}
        owners = _owners(held, left)
        refusal = next(
            (
                (owner, Refusal(claim, owners[claim]))
                for owner, claims in left.items()
                for claim in claims
                if owners[claim] != owner
            ),
            None,
        )
        if refusal is None:
            return refused
        refused[refusal[0]] = refusal[1]


def _owners(
    held: Mapping[str, Iterable[Claim]], offered: Mapping[str, Sequence[Claim]]
) -> dict[Claim, str]:
    """Return the owner of each claim if the offers were accepted."""
    owners: dict[Claim, str] = {}
    for owner, claims in held.items():
        still = {*offered[owner]} if owner in offered else None
        owners.update((claim, owner) for claim in claims if still is None or claim in still)
    for owner, claims in offered.items():
        for claim in claims:
            owners.setdefault(claim, owner)
    return owners


def _conflict(claim: Claim, problem: str) -> ZatoLiteError:
    error = ServiceExistsError if claim.kind == SERVICE else ConflictError
    return error(f"{claim.kind} `{claim.key}` {problem}")
