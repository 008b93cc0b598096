"""Power cuts under a working scheduler: a started run was recorded before its service began."""

import random
from pathlib import Path

import pytest

from tests.checker import Due, Gap, Run, Violation, grid, violations
from tests.faults.power import Image, Recorder, cuts
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.message import Invocation, Outcome
from zato_lite.store.ports import Connection
from zato_lite.store.sqlite import open_store
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND, Interval, Job

JOBS = 20
STEP = SECOND // 4


async def work_and_mark(path: Path, steps: int) -> Recorder:
    """Run twenty jobs of one second in steps of a quarter second; create a job in each step."""
    recorder = Recorder("scheduler-recorder", makedefault=True)
    clock = ManualClock()
    begin = clock.now()

    async def run(invocation: Invocation) -> Outcome:
        assert invocation.job is not None
        slot = round(invocation.job.slot.timestamp() * SECOND)
        recorder.mark(("began", invocation.job.id, slot, invocation.job.token))
        return Outcome(cid="c")

    def job(name: str, start: int) -> Job:
        return Job(name=name, service="any", trigger=Interval(start=start, seconds=1))

    try:
        async with open_store(path, clock) as store:
            scheduler = Scheduler(store, run, clock)
            jobs = JobCommands(store, scheduler, clock)
            starts = [begin + SECOND + number * SECOND // JOBS for number in range(JOBS)]
            await jobs.create([job(f"job-{number}", at) for number, at in enumerate(starts)])
            recorder.mark("open")
            async with scheduler:
                for number in range(steps):
                    clock.advance(seconds=STEP / SECOND)
                    await scheduler.tick()
                    later = job(f"later-{number}", clock.now() + 10_000 * SECOND)
                    recorder.mark(("created", *(await jobs.create([later]))))
                    await scheduler.wait_until_idle()
    finally:
        recorder.unregister()
    return recorder


async def wrongs(image: Image, folder: Path) -> list[Violation | str]:
    """Return the violations after the restart."""
    image.put(folder)

    def look(connection: Connection) -> tuple[list[Run], list[Gap], dict[int, int]]:
        runs = connection.execute("SELECT job_id, slot, attempt, token, slot, outcome FROM run")
        gaps = connection.execute("SELECT job_id, first, last, count, outcome FROM ledger")
        cursors = connection.execute("SELECT job_id, cursor FROM timer")
        return (
            [Run(*row) for row in runs],
            [Gap(*row) for row in gaps],
            {row[0]: row[1] for row in cursors},
        )

    async with open_store(folder / "store.db", ManualClock()) as store:
        found: list[Violation | str] = list(await store.check())
        runs, gaps, cursors = await store.read(look)
    first = {job: min((run.slot for run in runs if run.job == job), default=0) for job in cursors}
    due = [
        Due(job, grid(first[job], SECOND, first[job] - 1, cursor))
        for job, cursor in cursors.items()
        if first[job]
    ]
    found += [each for each in violations(due, runs, gaps) if each.kind != "lost"]
    tokens = {(run.job, run.slot): run.token for run in runs}
    for kind, job, *rest in (mark for mark in image.marks if mark != "open"):
        if kind == "created" and job not in cursors:
            found.append(f"job {job} was created and is missing")
        elif kind == "began" and tokens.get((job, rest[0]), 0) < rest[1]:
            found.append(f"job {job} began for {rest[0]}, and nobody knows")
    return found


async def all_wrongs(folder: Path, steps: int, images: int) -> list[Violation | str]:
    recorder = await work_and_mark(folder / "store.db", steps)
    dice = random.Random(13)
    began = recorder.events.index(("open",))  # type: ignore[arg-type]
    moments = [dice.randrange(began, len(recorder.events) + 1) for _ in range(images)]
    found = []
    for number, image in enumerate(cuts(recorder.events, moments, dice)):
        found += await wrongs(image, folder / f"image-{number}")
    return found


async def test_no_power_cut_loses_a_started_run_or_a_created_job(
    tmp_path: Path,
) -> None:
    assert await all_wrongs(tmp_path, steps=24, images=25) == []


@pytest.mark.slow
async def test_none_of_300_power_cuts_loses_a_started_run(tmp_path: Path) -> None:
    assert await all_wrongs(tmp_path, steps=400, images=300) == []
