"""One scenario for one scheduler in a separate process; the last line that it prints is JSON."""

import argparse
import asyncio
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.scheduler import record

SECOND = 1_000_000


def now_us() -> int:
    return time.time_ns() // 1000


def rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return round(pages * resource.getpagesize() / 1e6, 1)


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def lateness(values: Sequence[int]) -> dict[str, Any]:
    """In milliseconds."""
    record.subtract()
    ordered = sorted(values)
    if not ordered:
        return {"fired": 0}
    at = lambda share: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6, 3)  # noqa: E731
    return {
        "fired": len(ordered),
        "early": sum(value < 0 for value in ordered),
        "p50_ms": at(0.50),
        "p99_ms": at(0.99),
        "max_ms": at(1),
    }


def make(peer: str, folder: Path, *, paused: bool = False) -> Any:
    if peer == "zato-lite":
        from bench.scheduler.zato_lite_peer import ZatoLite  # noqa: PLC0415

        return ZatoLite(folder, paused=paused)
    from bench.scheduler.apscheduler3 import APScheduler  # noqa: PLC0415

    return APScheduler(folder, peer.removeprefix("aps3-"), paused=paused)


async def until(fired: int, patience_s: float) -> None:
    give_up = time.monotonic() + patience_s
    while len(record.late) + len(record.seen) < fired and time.monotonic() < give_up:
        await asyncio.sleep(0.002)


async def s1(peer: str, folder: Path, count: int, mode: str = "each") -> dict[str, Any]:
    async with make(peer, folder) as it:
        jobs = it.hourly(count)
        add = it.add_bulk if mode == "bulk" else it.add_each
        before, began = rss_mb(), time.perf_counter()
        await add(jobs)
        took = time.perf_counter() - began
        grown = (rss_mb() - before) * 1000 / count
        return {"per_s": round(count / took), "kb_per_job": round(grown, 2)}


async def s2(peer: str, folder: Path, count: int) -> dict[str, Any]:
    async with make(peer, folder) as it:
        ahead = it.lead_s + count / it.adds_per_second
        due = now_us() + int(ahead * SECOND)
        await it.add_one_time([due] * count)
        spare = (due - now_us()) / SECOND
        gc.collect()
        cpu = cpu_s()
        await asyncio.sleep(max(0.0, spare))
        await until(count, 60)
        await asyncio.sleep(0.3)
        used = cpu_s() - cpu
        found = {**lateness(record.late), "cpu_us_per_fire": round(1e6 * used / count, 1)}
        found["fires_per_s"] = round(count / max(found.get("max_ms", 0) / 1000, 1e-9))
        return {**found, "spare_s": round(spare, 2), **await totals(it)}


async def s3(
    peer: str, folder: Path, count: int, seconds: int = 20, *, aligned: bool = False
) -> dict[str, Any]:
    async with make(peer, folder) as it:
        ahead = 2 + count / it.adds_per_second
        start = (now_us() // SECOND + int(ahead) + 1) * SECOND
        step = 0 if aligned else SECOND / count
        await it.add_steady([start + int(number * step) for number in range(count)])
        spare = (start - now_us()) / SECOND
        gc.collect()
        await asyncio.sleep(max(0.0, spare))
        cpu, began = cpu_s(), time.perf_counter()
        await asyncio.sleep(max(0.0, (start + seconds * SECOND - now_us()) / SECOND - 0.0005))
        used, took = cpu_s() - cpu, time.perf_counter() - began
        fired = len(record.late) + len(record.seen)
        found = lateness(record.late)
        return {
            **found,
            "expected": count * seconds,
            "share": round(fired / (count * seconds), 4),
            "cpu_percent": round(100 * used / took, 1),
            "spare_s": round(spare, 2),
            **await totals(it),
        }


async def s5_fill(peer: str, folder: Path, count: int) -> dict[str, Any]:
    async with make(peer, folder, paused=True) as it:
        await it.add_dormant(count)
    return {}


async def s5(peer: str, folder: Path) -> dict[str, Any]:
    """From the first line after the imports."""
    it = make(peer, folder)
    imported, cpu = time.perf_counter(), cpu_s()
    async with it:
        started = time.perf_counter()
        due = now_us()
        await it.add_one_time([due])
        await until(1, 20)
        fired = time.perf_counter()
        return {
            "start_ms": round((started - imported) * 1000, 1),
            "first_fire_ms": round((fired - imported) * 1000, 1),
            "cpu_ms": round((cpu_s() - cpu) * 1000, 1),
            "rss_mb": rss_mb(),
        }


async def s6_fill(peer: str, folder: Path, count: int) -> dict[str, Any]:
    async with make(peer, folder, paused=True) as it:
        await it.add_one_time([now_us() - 60 * SECOND] * count)
    return {}


async def s6(peer: str, folder: Path, count: int) -> dict[str, Any]:
    it = make(peer, folder)
    began, cpu = time.perf_counter(), cpu_s()
    async with it:
        started = time.perf_counter()
        await until(count, 60)
        last = time.perf_counter()
        return {
            "cpu_ms": round((cpu_s() - cpu) * 1000, 1),
            "start_ms": round((started - began) * 1000, 1),
            "all_ran_s": round(last - began, 3),
            "fired": len(record.late) + len(record.seen),
        }


async def s7(peer: str, folder: Path, count: int) -> dict[str, Any]:
    async with make(peer, folder) as it:
        await it.add_dormant(count)
        start = (now_us() // SECOND + 3) * SECOND
        await it.add_steady([start + number * 100_000 for number in range(10)])
        await asyncio.sleep(3)
        gc.collect()
        record.late.clear()
        record.seen.clear()
        cpu, began = cpu_s(), time.perf_counter()
        await asyncio.sleep(10)
        used = cpu_s() - cpu
        return {
            **lateness(record.late),
            "cpu_percent": round(100 * used / (time.perf_counter() - began), 2),
            "rss_mb": rss_mb(),
        }


async def serve(peer: str, folder: Path, seconds: float) -> dict[str, Any]:
    async with make(peer, folder):
        print("ready", flush=True)
        await asyncio.sleep(seconds)
    return {}


async def add(peer: str, folder: Path, which: str, count: int, start: int) -> dict[str, Any]:
    names = [f"{which}-{number}" for number in range(count)]
    async with make(peer, folder) as it:
        print("ready", flush=True)
        await (it.add_slow if which == "slow" else it.add_marked)(names, start)
        print("added", flush=True)
        await asyncio.sleep(3600)
    return {}


async def totals(it: Any) -> dict[str, Any]:
    return await it.totals() if hasattr(it, "totals") else {}


SCENARIOS = {
    "s1": s1, "s2": s2, "s3": s3, "s5-fill": s5_fill, "s5": s5, "s6-fill": s6_fill, "s6": s6,
    "s7": s7, "serve": serve, "add": add,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scenario", choices=SCENARIOS)
    parser.add_argument("peer")
    parser.add_argument("options", type=json.loads, help="of the scenario, as JSON")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="bench-"))
    loop_factory = asyncio.new_event_loop if os.environ.get("BENCH_LOOP") == "asyncio" else None
    loop_factory = loop_factory or uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        found = runner.run(SCENARIOS[options.scenario](options.peer, folder, **options.options))
    print(json.dumps(found))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
