"""A change and its line in the audit log share one transaction, and so one sync of the disk."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.power import Recorder, Sync
from zato_lite.config import Server, Settings, Store
from zato_lite.errors import ZatoLiteError
from zato_lite.service.message import Caller
from zato_lite.testing.app import Sandbox, sandbox

JOB = "zato.scheduler.job"
ANN = Caller("ann", frozenset({"admin", "editor", "operator"}))
LATER = {
    "name": "later",
    "service": "zato.ping",
    "job_type": "interval_based",
    "minutes": 5,
    "start_date": "2099-01-01",
}


@pytest.fixture
async def disk(tmp_path: Path) -> AsyncIterator[tuple[Sandbox, Recorder]]:
    recorder = Recorder("syncs", makedefault=True)
    settings = Settings(store=Store(f"sqlite:///{tmp_path}/z.db"), server=Server(grace=0.0))
    try:
        async with sandbox(settings=settings) as box:
            await box.settle()
            yield box, recorder
    finally:
        recorder.unregister()


async def syncs(disk: tuple[Sandbox, Recorder], service: str, payload: Any) -> int:
    """Return the number of syncs of the log until the answer."""
    box, recorder = disk
    recorder.events.clear()
    await box.app.invoker.invoke(f"{JOB}.{service}", payload, caller=ANN)
    return sum(isinstance(e, Sync) and e.path.endswith("-wal") for e in list(recorder.events))


async def audit(box: Sandbox) -> list[tuple[str, str, str]]:
    lines = await box.invoke("zato.audit.get-list")
    return [(e["action"].rpartition(".")[2], e["subject"], e["outcome"][:3]) for e in lines[::-1]]


async def test_each_change_costs_one_sync(disk: tuple[Sandbox, Recorder]) -> None:
    box, _ = disk
    await syncs(disk, "create", {**LATER, "name": "first"})  # the first write makes the log's head
    counts = {"create": await syncs(disk, "create", LATER)}
    job_id = (await box.invoke(f"{JOB}.get-by-name", {"name": "later"}))["id"]
    changes: list[tuple[str, dict[str, Any]]] = [
        ("pause", {"note": "away"}),
        ("resume", {}),
        ("skip-next", {"count": 2}),
        ("edit", {"minutes": 7}),
        ("set-active-status", {"is_active": False}),
        ("delete", {}),
    ]
    for service, payload in changes:
        counts[service] = await syncs(disk, service, {"id": job_id, **payload})

    assert counts == dict.fromkeys(counts, 1)
    assert (await audit(box))[1:] == [
        ("create", "later", "ok"),
        ("pause", f"{job_id} later", "ok"),
        ("resume", f"{job_id} later", "ok"),
        ("skip-next", f"{job_id} later", "ok"),
        ("edit", f"{job_id} later", "ok"),
        ("set-active-status", f"{job_id} later", "ok"),
        ("delete", str(job_id), "ok"),
    ]


async def test_a_refused_change_is_recorded_as_refused_only(
    disk: tuple[Sandbox, Recorder],
) -> None:
    box, _ = disk
    await syncs(disk, "create", LATER)

    for service, payload in [("create", LATER), ("delete", {"id": 99}), ("pause", {"id": 99})]:
        with pytest.raises(ZatoLiteError):
            await syncs(disk, service, payload)

    assert [line[2] for line in await audit(box)] == ["ok", "409", "404", "404"]


async def test_a_change_that_the_disk_refuses_leaves_neither_change_nor_line(
    disk: tuple[Sandbox, Recorder],
) -> None:
    box, recorder = disk
    recorder.is_failing = True
    with pytest.raises(ZatoLiteError):
        await syncs(disk, "create", LATER)
    recorder.is_failing = False

    await syncs(disk, "create", LATER)

    assert await audit(box) == [("create", "later", "ok")]


async def test_creations_of_one_turn_share_the_sync_and_have_a_line_each(
    disk: tuple[Sandbox, Recorder],
) -> None:
    box, recorder = disk
    names = [f"job {number}" for number in range(5)]
    invoke = box.app.invoker.invoke

    recorder.events.clear()
    await asyncio.gather(
        *(invoke(f"{JOB}.create", {**LATER, "name": name}, caller=ANN) for name in names)
    )

    assert sum(isinstance(event, Sync) for event in list(recorder.events)) <= 3
    assert sorted(await audit(box)) == [("create", name, "ok") for name in names]
