"""Cost of a job's creation through ``self.invoke``: Python calls and CPU time.

    python -m bench.creation [COUNT]

Prints the calls from the service's ``handle`` to ``JobCommands.create``, and microseconds of CPU
for each of COUNT jobs that one service creates one by one, and with ``create-many``.
"""

import asyncio
import json
import logging
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any

from zato_lite.app import open_app
from zato_lite.config import Settings

SERVICES = """
import asyncio

from zato_lite import Service

CREATE = "zato.scheduler.job.create"


class Never(Service):
    name = "bench.never"

    async def handle(self):
        raise AssertionError


class Each(Service):
    name = "bench.each"

    async def handle(self):
        await asyncio.gather(*(self.invoke(CREATE, job) for job in self.request.payload))
"""


class Calls:
    """Counts Python calls from a service's ``handle`` to the entry of the store's part."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.is_counting = False
        self.found: list[str] = []

    def __call__(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        name = f"{Path(code.co_filename).parent.name}/{Path(code.co_filename).stem}.{code.co_name}"
        if code.co_name == "handle" and "/builtin/" in code.co_filename and not self.found:
            self.is_counting = True  # a coroutine that goes on is a call as well: once is enough
        if self.is_counting:
            if code.co_name == "create" and "/scheduler/" in code.co_filename:
                self.is_counting, self.found = False, self.names
            self.names.append(name)


def definition(number: int, prefix: str) -> dict[str, Any]:
    return {
        "cluster_id": 1, "name": f"{prefix}-{number}", "is_active": True, "service": "bench.never",
        "job_type": "interval_based", "start_date": "2099-01-01T00:00:00+00:00", "hours": 1,
        "extra": json.dumps({"n": number}),
    }  # fmt: skip


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        services = Path(folder) / "services"
        services.mkdir()
        (services / "bench_services.py").write_text(SERVICES)
        async with open_app(Path(folder), Settings()) as app:
            invoke = app.invoker.invoke
            await invoke("bench.each", [definition(n, "warm") for n in range(500)])
            calls = Calls()
            sys.setprofile(calls)
            await invoke("zato.scheduler.job.create", definition(0, "counted"))
            sys.setprofile(None)
            print(json.dumps({"calls": len(calls.found)}))
            if "-v" in sys.argv:
                print("\n".join(calls.found))
            for round_number in range(3):
                jobs = [definition(n, f"each{round_number}") for n in range(count)]
                began, cpu = time.perf_counter(), time.process_time()
                loop = time.thread_time()
                await invoke("bench.each", jobs)
                each, thread = time.process_time() - cpu, time.thread_time() - loop
                took = time.perf_counter() - began
                jobs = [definition(n, f"many{round_number}") for n in range(count)]
                cpu = time.process_time()
                await invoke("zato.scheduler.job.create-many", {"jobs": jobs})
                many = time.process_time() - cpu
                print(
                    json.dumps(
                        {
                            "each_cpu_us": round(1e6 * each / count, 1),
                            "each_loop_cpu_us": round(1e6 * thread / count, 1),
                            "each_per_s": round(count / took),
                            "many_cpu_us": round(1e6 * many / count, 1),
                        }
                    )
                )


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(int(next((each for each in sys.argv[1:] if each.isdigit()), "5000"))))
