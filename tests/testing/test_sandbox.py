"""The sandbox: its clock, its records, and the types of its answers."""

import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, assert_type
from zoneinfo import ZoneInfo

import msgspec
import pytest

from zato_lite import Service, cron, every
from zato_lite.errors import ConfigError, NotFoundError
from zato_lite.testing import ManualClock, sandbox

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
WARSAW = ZoneInfo("Europe/Warsaw")


class Order(msgspec.Struct):
    count: int


class Total(msgspec.Struct):
    total: int


class Sum(Service[Order, Total]):
    name = "kit.sum"

    async def handle(self) -> Total:
        return Total(self.request.input.count * 7)


class Tick(Service):
    name = "kit.tick"
    schedule = every(hours=24, start_date="2027-01-15T09:00:00Z")

    async def handle(self) -> int:
        return 1


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "services").mkdir()
    (tmp_path / "config").mkdir()
    return tmp_path


def write(project: Path, name: str, text: str) -> None:
    (project / name).write_text(textwrap.dedent(text))


async def test_the_answer_of_a_class_has_its_type() -> None:
    async with sandbox(Sum) as it:
        total = await it.invoke(Sum, Order(2))
        assert_type(total, Total)
        assert total == Total(14)
        assert await it.invoke(Sum, count=3) == Total(21)
        assert await it.invoke("kit.sum", {"count": 1}) == Total(7)


@pytest.mark.parametrize("step", ["3d", "2 days 24 h", timedelta(days=3), START + timedelta(3)])
async def test_the_clock_advances_by_a_duration_or_to_a_time(
    step: str | timedelta | datetime,
) -> None:
    async with sandbox(Tick, at=START) as it:
        await it.advance(step)

        runs = await it.runs("kit.tick")
        assert it.now == START + timedelta(days=3)
    assert [(run.slot.hour, run.outcome, run.result) for run in runs] == [(9, "ok", 1)] * 3
    assert [run.started_at for run in runs] == [run.slot for run in runs]
    assert [run.number for run in runs] == [1, 2, 3]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("soon", "not a valid duration: 'soon'; use a duration such as 90 s"),
        (timedelta(seconds=-1), "2027-01-15 07:59:59 UTC has passed already"),
        (datetime(2027, 1, 16), "has no time zone; add tzinfo=UTC"),  # noqa: DTZ001 - refused
    ],
)
async def test_wrong_steps_of_the_clock_are_refused(
    step: str | timedelta | datetime, words: str
) -> None:
    async with sandbox(at=START) as it:
        with pytest.raises(ValueError, match=words):
            await it.advance(step)


async def test_a_start_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        async with sandbox(at=datetime(2027, 1, 15)):  # noqa: DTZ001 - refused
            pass


async def test_the_start_sets_a_clock_that_is_given() -> None:
    clock = ManualClock()
    async with sandbox(clock=clock, at=datetime(2027, 3, 27, 12, tzinfo=WARSAW)) as it:
        assert it.now == datetime(2027, 3, 27, 11, tzinfo=UTC)


async def test_a_wrong_schedule_of_a_class_fails_the_test() -> None:
    class Wrong(Service):
        name = "kit.wrong"
        schedule = every(minutes=1, calendar="no-such")

        async def handle(self) -> None:
            pass

    with pytest.raises(ConfigError, match=r"kit.wrong: .*no-such"):
        async with sandbox(Wrong):
            pass


async def test_the_ledger_has_the_slots_of_a_pause() -> None:
    async with sandbox(Tick, at=START) as it:
        [job] = await it.invoke("zato.scheduler.job.get-list")
        await it.invoke("zato.scheduler.job.pause", {"id": job["id"]})
        await it.advance(days=2)
        await it.invoke("zato.scheduler.job.resume", {"id": job["id"]})

        [entry] = await it.ledger("kit.tick")
        assert await it.runs("kit.tick") == await it.runs() == []
    assert (entry.outcome, entry.count) == ("paused", 2)
    assert entry.first == START + timedelta(hours=1)
    assert entry.last == START + timedelta(hours=25)


async def test_an_unknown_job_is_named() -> None:
    async with sandbox(Tick) as it:
        with pytest.raises(
            NotFoundError, match=r"job 'tock' not found; the jobs are \['kit.tick'\]"
        ):
            await it.runs("tock")


async def test_runs_of_background_calls_are_among_all_runs() -> None:
    class Later(Service):
        name = "kit.later"

        async def handle(self) -> None:
            await self.invoke_async("kit.tick", retries=1)

    async with sandbox(Tick, Later) as it:
        await it.invoke(Later)

        [run] = await it.runs()
    assert (run.job, run.service, run.outcome, run.result) == ("", "kit.tick", "ok", 1)


async def test_a_project_has_its_own_settings_and_a_store_in_memory(project: Path) -> None:
    write(project, "config/zato-lite.toml", "[user]\nword = 'salut'\n")
    write(
        project,
        "services/kit_a.py",
        """
        import msgspec
        from zato_lite import Service

        class Word(msgspec.Struct):
            word: str

        class Say(Service[Word, Word]):
            async def handle(self):
                return Word(self.config.word + self.request.input.word)
        """,
    )
    names: dict[str, Any] = {"__name__": "kit_a"}
    exec((project / "services/kit_a.py").read_text(), names)  # noqa: S102 - as a test imports it

    async with sandbox(project=project) as it:
        answer = await it.invoke(names["Say"], names["Word"]("!"))

    assert answer == names["Word"]("salut!")  # of the test's own type, not of the deployed file's
    assert not (project / "data").exists()


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        (
            "config/jobs.yaml",
            "scheduler: [{name: a, service: no.such, job_type: interval_based, minutes: 1}]",
            "no.such",
        ),
        ("services/kit_b.py", "def", "SyntaxError"),
    ],
)
async def test_a_broken_project_fails_the_test(
    project: Path, name: str, text: str, words: str
) -> None:
    write(project, name, text)

    with pytest.raises(ConfigError, match=words):
        async with sandbox(project=project):
            pass


async def test_a_night_without_an_hour_and_a_night_with_two_of_them() -> None:
    class Nightly(Service):
        name = "kit.nightly"
        schedule = cron("30 2 * * *", timezone="Europe/Warsaw")

        async def handle(self) -> None:
            pass

    for before, hours in [
        (datetime(2027, 3, 27, 12, tzinfo=WARSAW), [3]),
        (datetime(2027, 10, 30, 12, tzinfo=WARSAW), [2]),
    ]:
        async with sandbox(Nightly, at=before) as it:
            await it.advance("1d")

            runs = await it.runs("kit.nightly")
        assert [run.slot.astimezone(WARSAW).hour for run in runs] == hours
