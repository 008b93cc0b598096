from collections.abc import Sequence

import msgspec

from zato_lite import Service, cron, every
from zato_lite.builtin.reconcile import (
    REMOVED,
    Definition,
    Known,
    Reconciled,
    definitions,
    reconciled,
)
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry
from zato_lite.service.schedule import Schedule
from zato_lite.store.rows import JobRow
from zato_lite.timetable.job import Cron, Interval, Job
from zato_lite.timetable.zone import parse_moment

NOW = parse_moment("2026-11-23 12:00:00", None)


class Nightly(Service):
    name = "demo.nightly"
    schedule = cron("0 2 * * *", timezone="Europe/Warsaw")

    async def handle(self) -> None:
        self.response.payload = isinstance(self.schedule, Schedule)


class Often(Service):
    name = "demo.often"
    schedule = every(minutes=5, name="every five minutes", extra="x")

    async def handle(self) -> None: ...


class Plain(Service):
    name = "demo.plain"

    async def handle(self) -> None: ...


def _declared() -> list[Definition]:
    registry = Registry()
    for cls in (Nightly, Often, Plain):
        registry.add(cls)
    return definitions(registry)


def _row(job_id: int, job: Job) -> JobRow:
    return JobRow(
        id=job_id,
        job=job,
        version=1,
        created_at=NOW,
        cursor=NOW,
        started=0,
        number=0,
        next_at=None,
    )


def _reconciled(
    rows: Sequence[JobRow], declared: Sequence[Definition], now: int, known: Known | None = None
) -> Reconciled:
    return reconciled(rows, declared, now, known or Known())


def _rows() -> list[JobRow]:
    created = _reconciled([], _declared(), NOW).creates
    return [_row(place, job) for place, job in enumerate(created, 1)]


def test_a_declared_schedule_becomes_a_job() -> None:
    nightly, often = _reconciled([], _declared(), NOW).creates

    assert (nightly.name, nightly.service, nightly.is_declared) == (
        "demo.nightly", "demo.nightly", True
    )  # fmt: skip
    assert nightly.trigger == Cron(
        start=NOW, expression="0 2 * * *", timezone="Europe/Warsaw", seed="demo.nightly"
    )
    assert (often.name, often.extra) == ("every five minutes", "x")
    assert often.trigger == Interval(start=NOW, minutes=5)


async def test_an_instance_of_a_class_with_a_declaration_still_has_self_schedule() -> None:
    registry = Registry()
    registry.add(Nightly)

    assert await Invoker(registry).invoke("demo.nightly") is True


def test_a_job_as_declared_is_not_changed() -> None:
    assert _reconciled(_rows(), _declared(), NOW + 10**9) == ((), {}, ())


def test_a_changed_declaration_keeps_the_grid_and_the_pause_by_a_user() -> None:
    rows = _rows()
    paused = msgspec.structs.replace(rows[1].job, is_active=False, pause_note="bank", extra="old")
    rows[1] = _row(2, paused)

    _, edits, _ = _reconciled(rows, _declared(), NOW + 10**9)

    assert edits == {2: msgspec.structs.replace(paused, extra="x")}


def test_a_removed_declaration_pauses_its_job_and_its_return_resumes_it() -> None:
    rows = _rows()

    _, edits, _ = _reconciled(rows, [], NOW)
    removed = [_row(job_id, job) for job_id, job in edits.items()]
    _, again, _ = _reconciled(removed, _declared(), NOW)

    assert {job.pause_note for job in edits.values()} == {REMOVED}
    assert not any(job.is_active for job in edits.values())
    assert again == {row.id: row.job for row in rows}


def test_a_job_that_no_class_declares_is_left_alone() -> None:
    by_hand = msgspec.structs.replace(_rows()[0].job, name="by hand", is_declared=False)

    assert _reconciled([_row(9, by_hand)], [], NOW) == ((), {}, ())


def test_a_job_of_the_same_name_is_adopted() -> None:
    rows = _rows()
    by_hand = msgspec.structs.replace(rows[0].job, is_declared=False)

    _, edits, _ = _reconciled([_row(1, by_hand), rows[1]], _declared(), NOW)

    assert edits == {1: rows[0].job}


def test_a_second_declaration_of_a_job_is_a_mistake_and_the_first_one_holds() -> None:
    rows = _rows()
    changed = msgspec.structs.replace(rows[0].job, extra="old")
    second = Definition("other.py", _declared()[0].fields)

    _, edits, mistakes = _reconciled([_row(1, changed), rows[1]], [*_declared(), second], NOW)

    assert edits == {1: rows[0].job}
    assert [mistake.source for mistake in mistakes] == ["other.py"]
