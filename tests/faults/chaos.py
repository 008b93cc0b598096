"""Chaos: three servers under load on a real PostgreSQL, whose processes and connections fail.

Each round breaks something, heals it, and asks whether every node answers and every job runs
again. At the end the history must account for each slot: none lost, none twice, none early.

usage: python -m tests.faults.chaos [--rounds 20] [--faults kill,drain] [--nodes 3] [--jobs 30]
       python -m tests.faults.chaos --faults kill=50,postgres=20  # in a random order
"""

import argparse
import http.client
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from tests.checker import Due, Gap, Run, grid, violations
from tests.faults.process import SERVICES, RefusedError, Server, interval
from tests.faults.proxy import Mode, Proxy
from tests.faults.takeover import (
    EXPIRY_S,
    SECOND,
    WINDOW_S,
    Control,
    Death,
    Takeover,
    measured,
)
from tests.postgres import USER
from tests.postgres import Server as Postgres

PATIENCE_S = 45.0
"""Seconds within which all must run again after a fault."""

MAX_LATE_S = 4.0
"""Seconds by which jobs may be late that a fault does not concern: a node runs the slow ones, of
three seconds, one after another."""

BROKEN = (OSError, RefusedError, http.client.HTTPException, ValueError)


SETTINGS = {"shared_buffers": "64MB", "max_connections": "60"}

SKEW_S = 3600
"""Seconds by which the wall clocks of the first and the last node are wrong, either way."""

SKEWED = """import time
real, real_ns = time.time, time.time_ns
time.time = lambda: real() + {seconds}
time.time_ns = lambda: real_ns() + {seconds} * 1_000_000_000
"""
"""A module that Python imports at its start."""


class ChaosNode(Server):
    """A server that reaches PostgreSQL through a proxy, and whose wall clock may be wrong."""

    def __init__(
        self, folder: Path, postgres: Postgres, effects: Path, number: int, skew: int
    ) -> None:
        super().__init__(folder)
        (folder / "skew").mkdir()
        (folder / "skew" / "sitecustomize.py").write_text(SKEWED.format(seconds=skew))
        paths = [str(folder / "skew"), os.environ.get("PYTHONPATH", "")]
        self.environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
        services = SERVICES.replace("time.time_ns()", "time.clock_gettime_ns(time.CLOCK_REALTIME)")
        (folder / "services" / "faults.py").write_text(services)
        self.effects, self.number = effects, number
        self.proxy = Proxy(folder / "pg", postgres.folder)
        url = f"postgresql:///postgres?host={quote(str(self.proxy.folder), safe='')}&user={USER}"
        (folder / "config").mkdir(exist_ok=True)
        (folder / "config" / "zato-lite.toml").write_text(
            f'[server]\nname = "node-{number}"\ngrace = 2\n[store]\nurl = "{url}"\n'
        )

    def ask(self, service: str, payload: Any = None, patience: float = 10.0) -> Any:
        """Invoke a service; None if the server does not answer."""
        try:
            return self.invoke(service, payload, patience)
        except BROKEN:
            return None

    @property
    def refused(self) -> int:
        """Number of late results that were refused, by the server's log."""
        text = self.output.read_text(errors="replace")
        return text.count("late result refused") + text.count("node buried by another one")

    @property
    def broken_callbacks(self) -> list[str]:
        """Lines of the log about exceptions that no code expected."""
        lines = self.output.read_text(errors="replace").splitlines()
        words = ("completion callback failed", "Exception in callback", "Task exception")
        return [line for line in lines if any(word in line for word in words)]


class Cluster:
    """The servers, their PostgreSQL, and the jobs whose slots are accounted for at the end."""

    def __init__(self, folder: Path, nodes: int, seed: int) -> None:
        self.random = random.Random(seed)
        self.postgres = Postgres(folder / "pg", SETTINGS)
        self.postgres.create()
        self.postgres.start()
        effects = folder / "effects.txt"
        self.nodes = [
            ChaosNode(
                folder / f"n{number}",
                self.postgres,
                effects,
                number,
                SKEW_S * (number == nodes - 1) - SKEW_S * (number == 0),
            )
            for number in range(nodes)
        ]
        self.jobs: dict[int, tuple[int, int]] = {}
        self.control = Control(self.postgres.url)
        self.deaths: list[tuple[Death, float]] = []
        self.takeovers: list[Takeover] = []

    def start(self, jobs: int) -> None:
        """Start all servers and create the jobs of the load."""
        self.control.start()
        for node in self.nodes:
            node.start()
        start = datetime.now(UTC).replace(tzinfo=None, microsecond=0)  # noqa: TID251 - real
        start += timedelta(seconds=3)
        policies: list[dict[str, Any]] = [
            {},
            {"on_overlap": "queue_one"},
            {"on_missed": "run_all", "on_overlap": "queue_all"},
            {"on_overlap": "cancel_running"},
        ]
        for number in range(jobs):
            service = "faults.slow" if number % 5 == 4 else "faults.mark"
            # A slow job that cancels itself each second never ends well.
            policy = policies[number // 5 % 3 if number % 5 == 4 else number % len(policies)]
            more = {"max_crashes": 100, **policy}
            job = interval(f"j{number}", service, start.isoformat(), **more)
            job_id = self.nodes[0].invoke("zato.scheduler.job.create", job)["id"]
            at = round(start.replace(tzinfo=UTC).timestamp()) * SECOND
            self.jobs[job_id] = at, SECOND

    def query(self, sql: str) -> list[Any]:
        """Query PostgreSQL itself, without a proxy."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    def healed(self) -> str:
        """Return what does not work yet; empty if all nodes answer and all jobs run."""
        for node in self.nodes:
            if (status := node.ask("zato.scheduler.status")) is None:
                return f"node {node.number} does not answer"
            if len(status["nodes"]) != len(self.nodes):
                return f"node {node.number} knows {len(status['nodes'])} nodes"
        since = time.time_ns() // 1000 - 8 * SECOND  # noqa: TID251 - real processes
        ids = ",".join(map(str, self.jobs))
        ((count,),) = self.query(
            "SELECT count(DISTINCT job_id) FROM run WHERE finished_at >"  # noqa: S608
            f" {since} AND outcome = 'ok' AND job_id IN ({ids})"
        )
        return "" if count == len(self.jobs) else f"{count} of {len(self.jobs)} jobs run"

    def wait_until_healed(self) -> float:
        """Return the seconds until all works again.

        Raises:
            AssertionError: it does not within ``PATIENCE_S``.
        """
        began, wrong = time.monotonic(), "not asked"
        while time.monotonic() - began < PATIENCE_S:
            with suppress(psycopg.Error):
                wrong = self.healed()
            if not wrong:
                return time.monotonic() - began
            time.sleep(0.25)
        raise AssertionError(f"not healed after {PATIENCE_S} s: {wrong}")

    def note_death(self, node: ChaosNode, *, is_still: bool = False) -> None:
        """Remember which runs a node has that has just died, or stands still."""
        at, monotonic = time.time_ns() // 1000, time.monotonic()  # noqa: TID251 - real processes
        time.sleep(0.3)  # PostgreSQL may still be committing what it has sent
        rows = self.query(
            "SELECT job_id, slot FROM run"  # noqa: S608
            " WHERE outcome IS NULL AND node ="
            f" (SELECT max(id) FROM node WHERE name = 'node-{node.number}')"
        )
        self.deaths.append((Death(at, frozenset(rows), is_still), monotonic))

    def takeover(self, death: Death, since: float) -> Takeover:
        """Return how late slots were because of a death; slow runs wait for each other."""
        slow = {job for number, job in enumerate(self.jobs) if number % 5 == 4}
        window = f"slot BETWEEN {death.at} AND {death.at + WINDOW_S * SECOND}"
        taken_over = set(
            self.query(
                f"SELECT job_id, slot FROM run WHERE {window}"  # noqa: S608
                f" AND claimed_at <= {death.at} AND token <> id"
            )
        )
        control = self.control.slowest(since, since + WINDOW_S + 2)
        return measured(death, self.nodes[0].seen(), taken_over, slow, control)

    def describe(self, slot: tuple[int, int], since: int) -> str:
        """Return what is known of a slot, with times in seconds since an instant."""
        job, instant = slot
        rows = self.query(
            "SELECT number, attempt, node, claimed_at, started_at, finished_at, outcome"  # noqa: S608
            f" FROM run WHERE job_id = {job} AND slot = {instant}"
        )
        times = [
            f"run {number}, attempt {attempt}, node {node}, claimed, started and ended at"
            f" {[at and round((at - since) / SECOND, 2) for at in instants]}, {outcome}"
            for number, attempt, node, *instants, outcome in rows
        ]
        number = list(self.jobs).index(job)
        return f"    job {number}, slot {(instant - since) / SECOND:.2f}: {'; '.join(times)}"

    def latest_start(self, since: int, without: str = "0") -> float:
        """Return the seconds by which the latest run, of slots since then, began late."""
        late = "SELECT max(started_at - slot) FROM run WHERE kind = 'scheduled' AND slot >="
        jobs = f"started_at IS NOT NULL AND job_id NOT IN ({without})"
        ((found,),) = self.query(f"{late} {since} AND {jobs}")
        return float(found or 0) / SECOND

    def account(self) -> list[Any]:
        """End the jobs, wait for their runs, and return all violations."""
        node = self.nodes[0]
        for job_id in self.jobs:
            node.invoke("zato.scheduler.job.pause", {"id": job_id})
        open_runs = "SELECT count(*) FROM run WHERE outcome IS NULL AND node <> 0"
        began = time.monotonic()
        while self.query(open_runs) != [(0,)] and time.monotonic() - began < PATIENCE_S:
            time.sleep(0.2)
        for each in self.nodes:
            each.stop()
        self.query("SELECT 1")
        cursors = dict(self.query("SELECT job_id, cursor FROM timer"))
        rows = self.query(
            "SELECT job_id, slot, attempt, token, started_at, outcome, state FROM run"
            " WHERE kind = 'scheduled'"
        )
        # Runs that the pause holds are not lost: they wait for its end.
        held = {(row[0], row[1]) for row in rows if row[5] is None and row[6] != "claimed"}
        runs = [
            Run(job, slot, attempt, token, began, "held" if (job, slot) in held else outcome)
            for job, slot, attempt, token, began, outcome, _ in rows
        ]
        gaps = [
            Gap(*row)
            for row in self.query("SELECT job_id, first, last, count, outcome FROM ledger")
        ]
        due = [
            Due(job, grid(start, period, start - 1, cursors[job]))
            for job, (start, period) in self.jobs.items()
        ]
        requested = set(self.query("SELECT job_id, slot FROM run WHERE kind <> 'scheduled'"))
        effects = [each for each in node.seen() if (each.job, each.slot) not in requested]
        return violations(due, runs, gaps, effects)


Fault = Callable[[Cluster], None]


def kill(cluster: Cluster) -> None:
    """Kill a node, and start it again after a while."""
    node = cluster.random.choice(cluster.nodes)
    node.kill()
    cluster.note_death(node)
    time.sleep(cluster.random.choice([0.0, 1.0, 8.0]))
    node.start()


def drain(cluster: Cluster) -> None:
    """Stop a node in order, and start it again."""
    node = cluster.random.choice(cluster.nodes)
    node.stop()
    node.start()


def _stop(times: float) -> Fault:
    def stop(cluster: Cluster) -> None:
        node = cluster.random.choice(cluster.nodes)
        assert node.process is not None
        node.process.send_signal(signal.SIGSTOP)
        if times > 1:
            cluster.note_death(node, is_still=True)
        time.sleep(times * EXPIRY_S)
        node.process.send_signal(signal.SIGCONT)

    return stop


def postgres(cluster: Cluster) -> None:
    """Stop PostgreSQL hard, and start it again after a while."""
    cluster.postgres.send(signal.SIGQUIT)
    cluster.postgres.wait()
    time.sleep(cluster.random.choice([0.0, 2.0, 8.0]))
    cluster.postgres.start()


def backends(cluster: Cluster) -> None:
    """Kill half of PostgreSQL's connections, several times."""
    for _ in range(5):
        cluster.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            " AND random() < 0.5"
        )
        time.sleep(0.5)


def exhausted(cluster: Cluster) -> None:
    """Take all connections of PostgreSQL, those of the nodes too, for some seconds."""
    taken: list[psycopg.Connection[Any]] = []
    until = time.monotonic() + cluster.random.choice([3.0, 12.0])
    with ExitStack() as stack:
        own = stack.enter_context(psycopg.connect(cluster.postgres.url, autocommit=True))
        while time.monotonic() < until:
            own.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'zato-lite%'"
            )
            with suppress(psycopg.OperationalError):  # too many clients
                while True:
                    taken.append(psycopg.connect(cluster.postgres.url, autocommit=True))
                    stack.callback(taken[-1].close)
            time.sleep(0.2)
    assert len(taken) > 20


def suspended(cluster: Cluster) -> None:
    """Suspend some of PostgreSQL's processes that serve nodes, for some seconds."""
    pids = [
        pid
        for (pid,) in cluster.query(
            "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'zato-lite%'"
        )
    ]
    chosen = cluster.random.sample(pids, len(pids) // 3)
    try:
        for pid in chosen:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(cluster.random.choice([1.0, 3.0, 8.0]))
    finally:
        for pid in chosen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _network(mode: Mode, seconds: float) -> Fault:
    def network(cluster: Cluster) -> None:
        node = cluster.random.choice(cluster.nodes)
        node.proxy.set_mode(mode)
        time.sleep(seconds)
        node.proxy.set_mode("pass")

    return network


def answers(cluster: Cluster) -> None:
    """Lose some of the answers of PostgreSQL to all nodes, with their connections."""
    for node in cluster.nodes:
        node.proxy.set_mode("lose")
    time.sleep(4)
    for node in cluster.nodes:
        node.proxy.set_mode("pass")


def lock(cluster: Cluster) -> None:
    """Hold the timers of some jobs for ten seconds; the other jobs run on time meanwhile."""
    began = time.time_ns() // 1000  # noqa: TID251 - real processes
    ids = ",".join(map(str, list(cluster.jobs)[:3]))
    with psycopg.connect(cluster.postgres.url) as connection:
        connection.execute(
            f"SELECT 1 FROM timer WHERE job_id IN ({ids}) FOR UPDATE".encode()  # noqa: S608
        )
        time.sleep(10)
        late = cluster.latest_start(began, without=ids)
        assert late < MAX_LATE_S, f"jobs whose timers are not locked run {late:.1f} s late"


def changes(cluster: Cluster) -> None:
    """Pause, resume, edit and run jobs on all nodes."""
    for _ in range(20):
        node = cluster.random.choice(cluster.nodes)
        job = {"id": cluster.random.choice(list(cluster.jobs))}
        node.ask("zato.scheduler.job.pause", job)
        node = cluster.random.choice(cluster.nodes)
        node.ask("zato.scheduler.job.resume", job)
        node.ask("zato.scheduler.job.execute", job)


FAULTS: dict[str, Fault] = {
    "kill": kill,
    "drain": drain,
    "stop-half": _stop(0.5),
    "stop-double": _stop(2),
    "stop-long": _stop(20),
    "postgres": postgres,
    "backends": backends,
    "refuse": _network("refuse", 3.0),
    "refuse-long": _network("refuse", 12.0),
    "delay": _network("delay", 4.0),
    "mute": _network("mute", 8.0),
    "answers": answers,
    "lock": lock,
    "exhausted": exhausted,
    "suspended": suspended,
    "changes": changes,
}


@contextmanager
def opened_cluster(nodes: int, seed: int) -> Iterator[Cluster]:
    """Yield a cluster that is not started, and end all its processes afterwards."""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos-", dir="/tmp"))
        )
        folder.chmod(0o755)
        cluster = Cluster(folder, nodes, seed)
        stack.callback(cluster.postgres.stop)
        stack.callback(cluster.control.stop)
        for node in cluster.nodes:
            stack.callback(node.kill)
        yield cluster


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def planned(faults: str, rounds: int, dice: random.Random) -> list[str]:
    """Return the faults of all rounds: each as often as it says, or in turns.

    Raises:
        ValueError: there is no such fault.
    """
    counts = {
        name: int(count or 0) for name, _, count in (f.partition("=") for f in faults.split(","))
    }
    if unknown := counts.keys() - FAULTS.keys():
        raise ValueError(f"unknown faults {sorted(unknown)}; use {', '.join(FAULTS)}")
    if any(counts.values()):
        names = [name for name, count in counts.items() for _ in range(count)]
        dice.shuffle(names)
        return names
    return [list(counts)[number % len(counts)] for number in range(rounds)]


def run_round(cluster: Cluster, number: int, name: str) -> None:
    """Break something, heal it, wait until all runs again, and print what was seen."""
    began, deaths = time.time_ns() // 1000, len(cluster.deaths)  # noqa: TID251 - real processes
    FAULTS[name](cluster)
    healed = cluster.wait_until_healed()
    line = f"round {number}: {name}; healed after {healed:.1f} s"
    line += f"; late by {cluster.latest_start(began):.1f} s"
    recent = cluster.deaths[deaths:]
    for _, at in recent:  # no other fault before its slots have begun
        time.sleep(max(0.0, at + WINDOW_S + 1 - time.monotonic()))
    seen = [(death, cluster.takeover(death, at)) for death, at in recent]
    _say("; ".join([line, *(str(takeover) for _, takeover in seen)]))
    for death, takeover in seen:
        cluster.takeovers.append(takeover)
        for late in takeover.beyond:
            _say(cluster.describe(late.slot, death.at))


def report_takeovers(takeovers: list[Takeover]) -> int:
    """Print how late slots were because of deaths; return how often beyond the bounds.

    Takeovers while the machine was too busy for a node to keep them are counted separately.
    """
    quiet = [each for each in takeovers if not each.is_busy]
    beyond = sum(not each.is_within for each in quiet)
    busy = [each for each in takeovers if each.is_busy]
    _say(
        f"{len(takeovers)} deaths: {len(quiet) - beyond} of {len(quiet)} takeovers within bounds;"
        f" on a busy machine {sum(each.is_within for each in busy)} of {len(busy)}"
    )
    if quiet:
        claimed = sorted(each.claimed.seconds for each in quiet)
        unclaimed = sorted(each.unclaimed.seconds for each in quiet)
        middle = len(quiet) // 2
        _say(
            f"claimed slots p50 {claimed[middle]:.2f} s, at most {claimed[-1]:.2f} s;"
            f" others p50 {unclaimed[middle]:.2f} s, at most {unclaimed[-1]:.2f} s"
        )
    return beyond


def report(cluster: Cluster, names: list[str]) -> int:
    """Account for all slots; return 1 if anything is wrong."""
    refused = sum(node.refused for node in cluster.nodes)
    broken = [line for node in cluster.nodes for line in node.broken_callbacks]
    found = cluster.account()
    ((runs,),) = cluster.query("SELECT count(*) FROM run")
    counts = ", ".join(f"{name} {names.count(name)}" for name in dict.fromkeys(names))
    _say(f"{len(names)} rounds: {counts}")
    _say(f"{runs} runs, {refused} times late results refused, {len(found)} violations")
    beyond = report_takeovers(cluster.takeovers)
    for problem in [*found[:20], *broken[:5]]:
        _say(f"    {problem}")
    is_refusing = refused > 0 or not {"stop-double", "stop-long"} & set(names)
    return int(bool(found or broken or beyond) or not is_refusing)


def main() -> int:
    """Break and heal a cluster; return 1 if anything is lost, doubled, early or not healed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--faults", default=",".join(name for name in FAULTS if name != "stop-long")
    )
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    names = planned(options.faults, options.rounds, random.Random(options.seed))
    with opened_cluster(options.nodes, options.seed) as cluster:
        cluster.start(options.jobs)
        cluster.wait_until_healed()
        try:
            for number, name in enumerate(names, start=1):
                run_round(cluster, number, name)
        except AssertionError:
            for node in cluster.nodes:
                _say("\n".join(node.output.read_text(errors="replace").splitlines()[-5:]))
            raise
        return report(cluster, names)


if __name__ == "__main__":
    sys.exit(main())
