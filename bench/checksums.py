"""Cost of SQLite's checksum VFS: CPU of creations and claims on a file, with and without it.

    python -m bench.checksums [ROUNDS]

Each round is a separate process, because the VFS stays registered in a process.
"""

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import apsw
import apsw.sqlite_extra

from zato_lite.clock import SystemClock
from zato_lite.store import claim, job_insert
from zato_lite.store.job_insert import JobGroup
from zato_lite.store.sqlite import open_store
from zato_lite.timetable.job import SECOND, Interval, Job

START = 1_800_000_000_000_000
JOBS, CLAIMS = 1_000, 300


async def work(folder: Path) -> float:
    """Create jobs one by one, then claim them all repeatedly; return the seconds of CPU."""
    clock = SystemClock()
    async with open_store(folder / "z.db", clock) as store:
        began = time.process_time()
        for number in range(JOBS):
            trigger = Interval(start=START, seconds=1)
            group = JobGroup([Job(name=f"job {number}", service="s", trigger=trigger)])
            await store.write(lambda c, group=group: job_insert.insert_jobs(c, [group], START))
        for step in range(1, CLAIMS):
            now = START + step * SECOND
            await store.write(lambda c, now=now: claim.claim(c, now, now, 1, limit=100))
        await store.check()
        return time.process_time() - began


def once(has_checksums: bool) -> float:
    """Return the seconds of CPU of one round, in a separate process."""
    command = [sys.executable, "-m", "bench.checksums", "--once", str(int(has_checksums))]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def run_once(has_checksums: bool) -> None:
    """Print the seconds of CPU of one round."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if has_checksums:
            apsw.sqlite_extra.load(apsw.Connection(":memory:"), "cksumvfs")
            made = apsw.Connection(str(folder / "z.db"))
            made.reserve_bytes("main", 8)
            made.execute("VACUUM")
            made.close()
        print(asyncio.run(work(folder)))
        if has_checksums:
            reserved = (folder / "z.db").read_bytes()[20]
            assert reserved == 8, reserved


def main() -> None:
    """Compare alternating rounds."""
    if sys.argv[1:2] == ["--once"]:
        run_once(sys.argv[2] == "1")
        return
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    pairs = [(once(False), once(True)) for _ in range(rounds)]
    ratios = [with_ / without for without, with_ in pairs]
    without, with_checksums = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    print(f"CPU: {without:.3f} s without, {with_checksums:.3f} s with")
    print(f"ratio {statistics.median(ratios):.3f} ({min(ratios):.3f}-{max(ratios):.3f})")


if __name__ == "__main__":
    main()
