"""Attention: jobs in trouble, the most urgent first, with the reason and the remedy."""

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Literal, NamedTuple, TypedDict, get_args

import msgspec
from msgspec import Meta

from zato_lite.builtin.input import Input
from zato_lite.builtin.output import iso, iso_or_none
from zato_lite.builtin.permissions import authority_of, visible_to
from zato_lite.scheduler.job_lists import JobLists, Troubles
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry
from zato_lite.store.attention import Kind, Trouble
from zato_lite.store.job_figures import FAILURES, LatestRun
from zato_lite.store.rows import SilenceMark
from zato_lite.timetable.job import Instant
from zato_lite.timetable.zone import to_text

KINDS: tuple[Kind, ...] = get_args(Kind)

Action = Literal["resume", "deploy", "retry", "open", "backfill", "edit"]
"""Remedy of a trouble; ``open`` is to look at the job."""

_ACTIONS: dict[Kind, Action] = {
    "quarantined": "resume",
    "paused_by_itself": "resume",
    "undeployed": "deploy",
    "failing": "retry",
    "late": "open",
    "silent": "open",
    "missed": "backfill",
    "overlapping": "edit",
}


class AttentionInput(Input, forbid_unknown_fields=True):
    """Kinds of trouble, all by default, and the number of jobs to return."""

    kinds: Annotated[list[Kind], Meta(max_length=len(KINDS))] | None = None
    limit: Annotated[int, Meta(ge=1, le=200)] = 20


class AttentionItem(TypedDict):
    """A job in trouble, and what can be done about it.

    ``run`` is the number of the run to look at or to retry; ``first_iso`` and ``last_iso`` are
    the slots to backfill.
    """

    job_id: int
    job_name: str
    service: str
    kind: Kind
    sentence: str
    since_iso: str | None
    slots: int
    action: Action
    run: int | None
    first_iso: str | None
    last_iso: str | None


class Attention(TypedDict):
    """Jobs in trouble, the most urgent first, and the numbers of all of them by kind.

    A job with several kinds of trouble is there several times.
    """

    now_iso: str
    total: int
    counts: dict[str, int]
    items: list[AttentionItem]


class GetAttention(Service[AttentionInput, Attention]):
    """Return jobs in trouble, the most urgent first: the reason in a sentence, and the remedy."""

    name = "zato.scheduler.get-attention"
    role = "viewer"
    scope = "own"
    lists = needs(JobLists)
    services = needs(Registry)

    async def handle(self) -> None:
        params = self.request.input
        kinds: Sequence[Kind] = KINDS
        if params.kinds is not None:
            kinds = tuple(kind for kind in KINDS if kind in params.kinds)
        undeployed: Sequence[str] = ()
        if "undeployed" in kinds:
            known = self.services.entries
            undeployed = [name for name in await self.lists.services() if name not in known]
        troubles = await self.lists.troubles(
            kinds,
            params.limit,
            undeployed=undeployed,
            permits=visible_to(authority_of(self)),
        )
        counts: dict[Kind, int] = {kind: troubles.found[kind][1] for kind in kinds}
        self.response.payload = {
            "now_iso": iso(troubles.now),
            "total": sum(counts.values()),
            "counts": {str(kind): count for kind, count in counts.items()},
            "items": [*islice(_items(troubles, kinds), params.limit)],
        }


def _items(troubles: Troubles, kinds: Sequence[Kind]) -> Iterator[AttentionItem]:
    for kind in kinds:
        for trouble in troubles.found[kind][0]:
            told = explained(kind, trouble, troubles.latest.get(trouble.job_id, ()))
            yield {
                "job_id": trouble.job_id,
                "job_name": trouble.name,
                "service": trouble.service,
                "kind": kind,
                "sentence": told.sentence,
                "since_iso": iso_or_none(told.since),
                "slots": trouble.slots,
                "action": _ACTIONS[kind] if kind != "failing" or trouble.run else "open",
                "run": trouble.run,
                "first_iso": iso_or_none(trouble.first),
                "last_iso": iso_or_none(trouble.last),
            }


class Explained(NamedTuple):
    """A trouble in a sentence, and its begin."""

    sentence: str
    since: Instant | None


def explained(kind: Kind, trouble: Trouble, latest: Sequence[LatestRun]) -> Explained:
    """Explain a trouble; ``latest`` are the latest runs of a failing job, oldest first."""
    since, slots = trouble.since, trouble.slots
    match kind:
        case "quarantined" | "paused_by_itself":
            sentence = trouble.text[:1].upper() + trouble.text[1:]
        case "undeployed":
            sentence = f"Service {trouble.service} is not deployed"
        case "failing":
            return _failing(trouble, latest)
        case "late":
            sentence = f"Due since {_text(since)}; no node has claimed it"
        case "silent":
            since = msgspec.json.decode(trouble.text, type=SilenceMark).since
            sentence = f"No success since {_text(since)}"
        case "missed":
            span = _text(trouble.first)
            if slots > 1:
                span = f"from {span} to {_text(trouble.last)}"
            sentence = f"{_number(slots, 'slot')} missed, {span}: {trouble.text or 'unknown why'}"
        case _:
            sentence = (
                f"{_number(slots, 'slot')} of the last hour skipped:"
                " the run before was still in flight"
            )
    return Explained(sentence, since)


def _failing(trouble: Trouble, latest: Sequence[LatestRun]) -> Explained:
    """Explain failures in a row; they began with the first of them that is known."""
    ended = [run for run in latest if run.outcome not in {"running", "cancelled"}]
    failed = sum(run.outcome in FAILURES for run in ended)
    since = trouble.since
    for run in reversed(ended):
        if run.outcome not in FAILURES:
            break
        since = run.finished_at
    row = "The latest run" if trouble.slots == 1 else f"{trouble.slots} runs in a row"
    among = f", {failed} of the latest {len(ended)}" if failed > trouble.slots else ""
    last_line = trouble.text.rstrip().rpartition("\n")[2]
    reason = last_line.removeprefix("zato_lite.errors.") or "its failed runs were pruned"
    return Explained(f"{row} failed{among}: {reason}", since)


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _text(instant: Instant | None) -> str:
    return "" if instant is None else to_text(instant - instant % 1_000_000)
