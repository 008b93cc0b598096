"""Lateness of jobs while large answers are made: an export of 100,000 jobs, a list of 60,000.

    PYTHONPATH=. python bench/busy_loop.py --jobs 100000 --listed 60000

A real server process with 20 jobs of one second. One client asks for the export and the list in
turns; the lateness of the runs in that time is compared with that of as many seconds without them.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

PORT = 17879
PASSWORD = "busy-busy-busy"  # noqa: S105 - a server of its own, on loopback
TICKING = 20
_URL = f"http://127.0.0.1:{PORT}/zato/api/invoke/zato.scheduler.job."


def ask(service: str, payload: Any) -> bytes:
    """Invoke a service for jobs; return the body of its answer."""
    credentials = base64.b64encode(f"admin.invoke:{PASSWORD}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
    data = json.dumps(payload).encode()
    request = urllib.request.Request(_URL + service, data, headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=300) as response:  # noqa: S310
        body: bytes = response.read()
    return body


@contextmanager
def server(folder: Path) -> Iterator[None]:
    """Serve a project on ``PORT`` until the block ends."""
    (folder / "services").mkdir()
    (folder / "services" / "tick.py").write_text(
        "from zato_lite import Service\n\nclass Tick(Service):\n    name = 'busy.tick'\n\n"
        "    async def handle(self):\n        pass\n"
    )
    command = [sys.executable, "-m", "zato_lite", "serve", "--project", str(folder)]
    command += ["--port", str(PORT)]
    environ = {**os.environ, "ZATO_LITE_ADMIN_PASSWORD": PASSWORD}
    with (folder / "output.txt").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environ)
        try:
            _wait_until_ready(process)
            yield
        finally:
            process.terminate()
            process.wait(30)


def _wait_until_ready(process: "subprocess.Popen[bytes]") -> None:
    for _ in range(300):
        time.sleep(0.1)
        if process.poll() is not None:
            raise RuntimeError("the server has ended; see output.txt")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/readyz", timeout=5):
                return
        except OSError:
            continue
    raise TimeoutError("the server is not ready after 30 s")


def create(begin: int, end: int) -> None:
    """Create jobs that are not due before 2099."""
    fields = {
        "service": "busy.tick",
        "job_type": "interval_based",
        "start_date": "2099-01-01T00:00:00",
        "minutes": 5,
        "extra": "key=value",
    }
    for first in range(begin, end, 5_000):
        numbers = range(first, min(first + 5_000, end))
        ask("create-many", {"jobs": [{"name": f"job{n:06}", **fields} for n in numbers]})


def lateness(ids: list[int], since: float, until: float) -> list[float]:
    """Return the milliseconds by which runs with slots in a time were late, sorted."""
    late = []
    for job_id in ids:
        rows = json.loads(ask("get-history", {"id": job_id, "page_size": 1_000}))["rows"]
        late += [
            row["delay_ms"]
            for row in rows
            if row["delay_ms"] is not None
            and since <= _seconds(row["planned_fire_time_iso"]) < until
        ]
    return sorted(late)


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def report(label: str, late: list[float], expected: float) -> None:
    """Print a line of the table."""
    rank = {share: late[min(len(late) - 1, int(len(late) * share))] for share in (0.5, 0.99)}
    print(
        f"| {label} | {len(late)} of {expected:.0f} | {rank[0.5]:.1f} | {rank[0.99]:.1f} |"
        f" {late[-1]:.1f} |"
    )


def main() -> None:
    """Measure and print a table."""
    options = argparse.ArgumentParser()
    options.add_argument("--jobs", type=int, default=100_000)
    options.add_argument("--listed", type=int, default=60_000)
    options.add_argument("--seconds", type=float, default=20.0, help="of each part, at least")
    wanted = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, server(Path(folder)):
        create(0, wanted.listed)
        every = {"service": "busy.tick", "job_type": "interval_based", "seconds": 1}
        jobs = [{"name": f"tick{number}", **every} for number in range(TICKING)]
        ids = json.loads(ask("create-many", {"jobs": jobs}))["ids"]
        time.sleep(3)
        spans = [repeated("nothing else", lambda: time.sleep(1) or b"", wanted.seconds)]
        listing = f"lists of {wanted.listed:,} jobs"
        spans.append(repeated(listing, lambda: ask("get-list", {}), wanted.seconds))
        create(wanted.listed, wanted.jobs)
        time.sleep(3)
        exports = f"exports of {wanted.jobs:,} jobs"
        spans.append(repeated(exports, lambda: ask("export", {}), wanted.seconds))
        time.sleep(2)
        print("| meanwhile | runs | late ms p50 | p99 | max |\n|---|---|---:|---:|---:|")
        for label, since, until in spans:
            report(label, lateness(ids, since, until), TICKING * (until - since))


def repeated(label: str, request: Callable[[], bytes], seconds: float) -> tuple[str, float, float]:
    """Make a request again and again for some seconds; return what was done, and when."""
    began = time.time()
    size, count = len(request()), 1
    took = time.time() - began
    while time.time() - began < seconds:
        request()
        count += 1
    if size:
        label += f" ({count} times, {size / 1e6:.0f} MB, the first in {took:.1f} s)"
    return label, began, time.time()


if __name__ == "__main__":
    main()
