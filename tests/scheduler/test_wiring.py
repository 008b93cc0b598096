"""Wiring of the scheduler's parts: the way from an outcome to the next claim, counted."""

import asyncio
import sys
from itertools import groupby
from pathlib import Path
from types import FrameType
from typing import Any

from tests.scheduler.conftest import Harness
from zato_lite.scheduler import scheduler
from zato_lite.timetable.job import SECOND, Interval

FOLDER = str(Path(scheduler.__file__).parent)


async def test_an_outcome_reaches_the_next_claim_with_few_changes_between_the_parts(
    harness: Harness,
) -> None:
    half = Interval(start=harness.clock.now() + SECOND // 2, milliseconds=500)
    await harness.create(trigger=half)
    for _ in range(4):  # the first runs pass, so that the path is the usual one
        harness.clock.advance(seconds=0.25)
        await settle(harness)
    calls: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        path = frame.f_code.co_filename
        if event == "call" and path.startswith(FOLDER):
            calls.append(f"{Path(path).stem}.{frame.f_code.co_name}")

    sys.setprofile(note)
    try:
        for _ in range(4):
            harness.clock.advance(seconds=0.25)
            await settle(harness)
    finally:
        sys.setprofile(None)

    # From the result's entry into the completer to the next attempt's into the executor.
    begin = calls.index("completer.add")
    path = calls[begin : calls.index("executor.accept", begin) + 1]
    modules = [module for module, _ in groupby(call.partition(".")[0] for call in path)]
    assert modules[0] == "completer"
    assert len(modules) - 1 <= 6, "\n".join(path)


async def settle(harness: Harness) -> None:
    for _ in range(20):
        await harness.store.write(lambda c: None)
        await asyncio.sleep(0)
