"""A store that fails: effect on readiness, and the log events."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.conftest import Harness, open_harness
from tests.store.damage import damage
from zato_lite.errors import UnavailableError
from zato_lite.monitoring import readiness
from zato_lite.store import claim, completion, sqlite
from zato_lite.store.sqlite import open_store
from zato_lite.testing.clock import ManualClock


async def failed_often(harness: Harness, attempts: list[int], times: int) -> None:
    while len(attempts) < times:
        await harness.store.write(lambda c: None)


@pytest.mark.usefixtures("quick_retries")
async def test_a_claim_that_fails_makes_the_server_not_ready_and_is_logged_seldom(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real_claim, attempts, is_away = claim.claim, list[int](), True

    def fragile(*values: Any, **options: Any) -> Any:
        if is_away:
            attempts.append(1)
            raise UnavailableError("store operation failed: disk image is malformed")
        return real_claim(*values, **options)

    monkeypatch.setattr(claim, "claim", fragile)
    is_ready = readiness(harness.scheduler, lambda: "", wanted=True)
    job_id = await harness.create(trigger=harness.once(1))
    harness.clock.advance(seconds=1)

    await asyncio.wait_for(failed_often(harness, attempts, 40), 20)
    reasons = await is_ready()
    is_away = False
    await asyncio.wait_for(_ran(harness), 20)

    words = "runs cannot be claimed: store operation failed: disk image is malformed"
    assert reasons == {"scheduler": words}
    assert await is_ready() == {}
    assert await harness.outcomes(job_id) == ["ok"]
    told = [record for record in caplog.records if record.message == "work failed"]
    assert 6 <= len(told) <= 8
    assert [getattr(record, "so_far", 0) for record in told][:6] == [1, 2, 4, 8, 16, 32]
    assert "work resumed" in {record.message for record in caplog.records}


async def _ran(harness: Harness) -> None:
    while harness.scheduler.trouble or not harness.calls:
        await harness.store.write(lambda c: None)
    await harness.scheduler.wait_until_idle()


@pytest.mark.usefixtures("quick_retries")
async def test_outcomes_that_cannot_be_saved_are_a_trouble_and_logged_seldom(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    complete_attempts, attempts, is_away = completion.complete_attempts, list[int](), True

    def fragile(*values: Any) -> Any:
        if is_away:
            attempts.append(1)
            raise UnavailableError("full")
        return complete_attempts(*values)

    monkeypatch.setattr(completion, "complete_attempts", fragile)
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)

    await asyncio.wait_for(failed_often(harness, attempts, 20), 20)
    trouble = harness.scheduler.trouble
    is_away = False
    await asyncio.wait_for(harness.scheduler.wait_until_idle(), 20)

    assert trouble == "outcomes cannot be saved: full"
    assert harness.scheduler.trouble == ""
    assert await harness.outcomes(job_id) == ["ok"]
    told = [record for record in caplog.records if record.message == "saving failed"]
    assert 5 <= len(told) <= 7


@pytest.mark.usefixtures("quick_retries")
async def test_an_index_that_breaks_during_operation_is_logged_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "STARTUP_CHECK_BYTES", 0)
    monkeypatch.setattr(sqlite, "CHECK_DELAY_S", 3600.0)
    clock = ManualClock()
    async with open_store(tmp_path / "z.db", clock):
        pass
    damage(tmp_path / "z.db", "timer_next")

    async with open_harness(tmp_path / "z.db", clock) as harness:
        while not harness.scheduler.trouble:
            await harness.store.read(lambda c: None)
        is_ready = readiness(harness.scheduler, lambda: harness.store.trouble, wanted=True)
        reasons = await is_ready()

    assert set(reasons) == {"store", "scheduler"}
    assert "restore a backup" in reasons["store"]
    critical = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert [record.message for record in critical] == ["store damaged"]
