"""Crash loop: kills a server repeatedly under load, then checks the whole history."""

import http.client
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from tests.checker import Due, Violation, grid, violations
from tests.faults.process import RefusedError, Server, interval

JOBS = 20
PERIOD = 1_000_000


class Account(NamedTuple):
    """Result of a crash loop.

    Attributes:
        kills: number of kills.
        first_fires: seconds from each launch to the first service that ran.
        acknowledged: number of acknowledged calls. forgotten: those whose effect is missing.
        fired: scheduled runs. repeated: attempts after the first one.
        violations: of the rules for histories.
    """

    kills: int
    first_fires: list[float]
    acknowledged: int
    forgotten: list[Any]
    fired: int
    repeated: int
    violations: list[Violation]


class Traffic:
    """Calls from a separate thread, and their answers."""

    def __init__(self, server: Server, active: list[dict[str, Any]], dormant: int) -> None:
        """Prepare calls about running jobs (``active``) and about jobs that never run."""
        self._server, self._active, self._dormant = server, active, dormant
        later = datetime.fromtimestamp(time.time() + 86_400, UTC).isoformat()  # noqa: TID251
        self._template = interval("", "faults.quiet", later)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.created: dict[str, int] = {}
        self.executed = 0
        self.texts: dict[int, list[str | None]] = {}
        """Possible values of a job's ``extra``: the last acknowledged text, and later attempts."""
        self.deleted: list[int] = []
        self.refused: list[RefusedError] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        for number in itertools.count():
            if self._stop.is_set():
                return
            try:
                self._once(number)
            except RefusedError as error:
                if error.status != 503:
                    self.refused.append(error)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)  # it is dead; the effect of the call is unknown

    def _once(self, number: int) -> None:
        name = f"traffic-{number}"
        job = {**self._template, "name": name}
        job["id"] = self._server.invoke("zato.scheduler.job.create", job)["id"]
        self.created[name] = job["id"]
        self._edit(job, number)
        self._edit(self._active[number % len(self._active)], number)
        self._server.invoke("zato.scheduler.job.execute", {"id": self._dormant})
        self.executed += 1
        if number % 5 == 0:
            del self.created[name], self.texts[job["id"]]
            self._server.invoke("zato.scheduler.job.delete", {"id": job["id"]})
            self.deleted.append(job["id"])

    def _edit(self, job: dict[str, Any], number: int) -> None:
        text = f"edited {number}"
        self.texts.setdefault(job["id"], [None]).append(text)
        self._server.invoke("zato.scheduler.job.edit", {**job, "extra": text})
        self.texts[job["id"]] = [text]


class Companion:
    """Second server on the same store, killed and restarted at its own intervals."""

    def __init__(self, server: Server, lifetimes: Iterable[float]) -> None:
        self._server, self._lifetimes = Server(server.folder), lifetimes
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        for lifetime in self._lifetimes:
            if self._stop.is_set():
                return
            self._server.start()
            self._stop.wait(lifetime)
            self._server.kill()


Life = Callable[[Server], None]
"""Starts a server and returns when it is dead."""


def killed_after(seconds: float) -> Life:
    """Return a life that ends by a kill some seconds after the first answer."""

    def live(server: Server) -> None:
        server.start()
        time.sleep(seconds)
        server.kill()

    return live


def killed_at(call: str, number: int, patience: float = 10.0) -> Life:
    """Return a life that ends by a kill at the n-th occurrence of a system call."""

    def live(server: Server) -> None:
        wrapper = ["strace", "-f", "-qq", "-o", os.devnull, "-e", f"trace={call}"]
        server.launch([*wrapper, "-e", f"inject={call}:signal=KILL:when={number}"])
        server.wait(patience)
        server.kill()

    return live


def crash_loop(server: Server, lives: Iterable[Life], companion: Iterable[float] = ()) -> Account:
    """Run a server through these lives under load; then check every slot and answer.

    Args:
        server: not started yet.
        lives: one after another.
        companion: lifetimes of a second server on the same store.
    """
    server.start()
    anchor = (time.time_ns() // 1_000_000_000 + 1) * PERIOD  # noqa: TID251 - a real process
    starts = [anchor + number * PERIOD // JOBS for number in range(JOBS)]
    active = [definition(f"mark-{number}", start) for number, start in enumerate(starts)]
    for job in active:
        job["id"] = server.invoke("zato.scheduler.job.create", job)["id"]
    jobs = [job["id"] for job in active]
    dormant = create(server, "dormant", anchor, service="faults.quiet", is_active=False)
    server.kill()
    kills = 1
    with Traffic(server, active, dormant) as traffic, Companion(server, companion):
        for live in lives:
            live(server)
            kills += 1
        server.start()
        back_at = time.time_ns() // 1000  # noqa: TID251 - a real process
        time.sleep(2.5)
        _wait_for_earlier_runs(server, back_at)
    stopped_at = time.time_ns() // 1000  # noqa: TID251 - a real process
    assert server.stop() == 0, server.output.read_text()[-2000:]
    runs, _ = server.history(jobs)
    return Account(
        kills=kills,
        first_fires=sorted(_first_fires(server)),
        acknowledged=2 * len(traffic.created) + len(traffic.deleted) + 2 * traffic.executed,
        forgotten=_forgotten(server, traffic, dormant),
        fired=len(runs),
        repeated=sum(run.attempt > 1 for run in runs),
        violations=wrongs(server, dict(zip(jobs, starts, strict=True)), stopped_at),
    )


def _wait_for_earlier_runs(server: Server, back_at: int, patience: float = 60.0) -> None:
    """Wait for earlier runs to finish; those that do not are lost.

    Those during which two processes died begin again after a while, in groups.
    """
    give_up = time.monotonic() + patience
    still_open = f"SELECT 1 FROM run WHERE outcome IS NULL AND slot < {back_at} LIMIT 1"  # noqa: S608
    while server.query(still_open) and time.monotonic() < give_up:
        time.sleep(0.1)


def _first_fires(server: Server) -> Iterator[float]:
    """Yield the seconds from each launch to the first service of that life."""
    ats = sorted(effect.at for effect in server.seen())
    launches = [*server.launches, ats[-1] + 1]
    for launch, following in itertools.pairwise(launches):
        if of_this_life := [at for at in ats if launch <= at < following]:
            yield (of_this_life[0] - launch) / 1e6


def create(server: Server, name: str, start: int, **more: Any) -> int:
    """Create a job of one second, with the fields ``more``; return its id."""
    job = {**definition(name, start), **more}
    return int(server.invoke("zato.scheduler.job.create", job)["id"])


def definition(name: str, start: int) -> dict[str, Any]:
    """Return the definition of a job of one second that records its effects."""
    return interval(name, "faults.mark", datetime.fromtimestamp(start / 1e6, UTC).isoformat())


def wrongs(server: Server, starts: Mapping[int, int], stopped_at: int) -> list[Violation]:
    """Return the violations of jobs of one second with known starts."""
    cursors = dict(server.query("SELECT job_id, cursor FROM timer"))
    created = dict(server.query("SELECT id, created_at FROM job"))
    stuck = [
        Violation("unaccounted", job, cursors[job], "the cursor stands still")
        for job in starts
        if cursors[job] < stopped_at - 2 * PERIOD
    ]
    due = [
        Due(job, grid(at, PERIOD, max(at - 1, created[job]), cursors[job]))
        for job, at in starts.items()
    ]
    runs, gaps = server.history(list(starts))
    effects = [effect for effect in server.seen() if effect.job in starts]
    found = stuck + violations(due, runs, gaps, effects)
    # A stop releases runs that were claimed before their slots; another node takes them.
    return [each for each in found if each.kind != "lost" or each.slot < stopped_at - PERIOD // 5]


def _forgotten(server: Server, traffic: Traffic, dormant: int) -> list[Any]:
    """Return the acknowledged calls whose effect is missing."""
    stored = {
        name: (job, extra)
        for job, name, extra in server.query(
            "SELECT id, name, json_extract(definition, '$.extra') FROM job"
            " WHERE deleted_at IS NULL"
        )
    }
    forgotten: list[Any] = [
        name for name, job in traffic.created.items() if stored.get(name, (0, ""))[0] != job
    ]
    kept = dict(stored.values())
    forgotten += [job for job, texts in traffic.texts.items() if kept.get(job) not in texts]
    forgotten += [job for job in traffic.deleted if job in kept]
    runs = "SELECT count(*) FROM run WHERE outcome = 'ok' AND job_id ="
    executed = server.query(f"{runs} {dormant}")[0][0]
    if executed < traffic.executed:
        forgotten.append(f"{traffic.executed - executed} runs on demand")
    return forgotten + traffic.refused
