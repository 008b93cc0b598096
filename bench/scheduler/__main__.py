"""zato-lite's scheduler beside APScheduler 3: scenarios S1 to S7 and F1 to F3, alternating runs.

    make bench-scheduler
    python -m bench.scheduler --scenarios S2,S3 --runs 5 --peers zato-lite,aps3-sqlite --quick

Each run is a separate process; runs of the schedulers alternate, so that other load affects all
of them. Lateness is the wall time at a job's first statement minus its
slot. The table shows medians; a ratio is the peer's figure over zato-lite's, or the other way
round for rates, so that above 1 always means that zato-lite is better.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
PEERS = ("zato-lite", "aps3-memory", "aps3-sqlite")
FIGURES = {  # of a result: name, and whether more is better
    "per_s": True, "kb_per_job": False, "p50_ms": False, "p99_ms": False, "max_ms": False,
    "fires_per_s": True, "cpu_us_per_fire": False,
    "cpu_percent": False, "cpu_ms": False, "rss_mb": False, "sustained": True,
    "start_ms": False, "first_fire_ms": False, "all_ran_s": False, "share": True, "early": False,
    "doubled": False, "lost": False, "runs_up": True, "runs_after": True,
}  # fmt: skip
Result = dict[str, Any]


def child(scenario: str, peer: str, folder: Path | None = None, **options: Any) -> Result:
    """Run one and return what it found; an empty result where it failed."""
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        command = _command(scenario, peer, folder or Path(temporary), options)
        done = subprocess.run(
            command, cwd=ROOT, env=_environ(), capture_output=True, text=True, check=False
        )
        lines = done.stdout.strip().splitlines()
        try:
            return json.loads(lines[-1])
        except (IndexError, json.JSONDecodeError):
            print(f"  {scenario} {peer} failed:\n{done.stderr[-3000:]}", file=sys.stderr)
            return {}


def _command(scenario: str, peer: str, folder: Path, options: Result) -> list[str]:
    module = [sys.executable, "-m", "bench.scheduler.child", scenario, peer, json.dumps(options)]
    return [*module, "--folder", str(folder)]


def _environ(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "", **more}


class Scenario(NamedTuple):
    title: str
    run: Callable[[str], Result]
    peers: tuple[str, ...] = PEERS


def filled(fill: str, run: str, count: int, *, keep: bool) -> Callable[[str], Result]:
    """A scenario over a store that another process filled: kept for all runs, or fresh."""
    folders: dict[str, Path] = {}

    def both(peer: str) -> Result:
        if peer not in folders:
            folders[peer] = Path(tempfile.mkdtemp(prefix="bench-"))
            child(fill, peer, folders[peer], count=count)
        found = child(run, peer, folders[peer], **({} if keep else {"count": count}))
        if not keep:
            shutil.rmtree(folders.pop(peer), ignore_errors=True)
        return found

    return both


def ramp(*, aligned: bool = False, quick: bool) -> Callable[[str], Result]:
    """S4: the highest rate at which 99 % fire and p99 is under a second.

    Rates are a quarter apart. A run begins at the rate that the one before it came to.
    """
    begins: dict[str, float] = {"aps3-sqlite": 1_600}

    def climb(peer: str) -> Result:
        good: dict[float, Result] = {}
        bad: set[float] = set()
        rate = begins.get(peer, 12_800)
        while rate not in good and rate not in bad and 100 < rate < 100_000:
            options = {"count": int(rate), "seconds": 4 if quick else 8, "aligned": aligned}
            found = child("s3", peer, **options)
            print(f"    {peer} {rate:.0f}/s: {found}", flush=True)
            if found.get("share", 0) >= 0.99 and found["p99_ms"] < 1000:
                good[rate] = found
                rate *= 1.25
            else:
                bad.add(rate)
                rate /= 1.25
        if not good:
            return {"sustained": 0}
        best = begins[peer] = max(good)
        return {"sustained": int(best), "p99_ms": good[best]["p99_ms"]}

    return climb


class Server:
    """A process that can be killed, and the file in which its jobs leave their marks."""

    def __init__(self, peer: str, folder: Path) -> None:
        self.peer, self.folder, self.effects = peer, folder, folder / "effects.txt"
        self.processes: list[subprocess.Popen[str]] = []

    def start(self, scenario: str, word: str, **options: Any) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            _command(scenario, self.peer, self.folder, options),
            cwd=ROOT, env=_environ(BENCH_EFFECTS=str(self.effects)), stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self.processes.append(process)
        for line in process.stdout or ():
            if line.strip() == word:
                break
        return process

    def marks(self, word: str = "began") -> list[tuple[str, int, int]]:
        """(job, slot, at) of each line."""
        lines = self.effects.read_text().splitlines() if self.effects.exists() else []
        split = [line.split() for line in lines]
        return [(job, int(slot), int(at)) for kind, job, slot, _, at in split if kind == word]

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _server(peer: str) -> Server:
    return Server(peer, Path(tempfile.mkdtemp(prefix="bench-")))


def _second(ahead: int) -> int:
    return (time.time_ns() // 1_000_000_000 + ahead) * 1_000_000


def _sleep_until(instant_us: int) -> None:
    time.sleep(max(0.0, instant_us / 1e6 - time.time()))


def f1(peer: str) -> Result:
    """Two processes, one store, 20 jobs of 1 s, 12 s."""
    server = _server(peer)
    start = _second(6)
    server.start("add", "added", which="marked", count=20, start=start)
    server.start("serve", "ready", seconds=3600)
    _sleep_until(start + 11_900_000)
    marks = server.marks()
    server.close()
    distinct = len({(job, slot) for job, slot, _ in marks})
    return {"runs": len(marks), "doubled": len(marks) - distinct, "lost": 240 - distinct}


def f2(peer: str) -> Result:
    """20 one-time jobs of 3 s, SIGKILL 1 s into them, restart: who completes."""
    server = _server(peer)
    start = _second(4)
    first = server.start("add", "added", which="slow", count=20, start=start)
    _sleep_until(start + 1_000_000)
    first.send_signal(signal.SIGKILL)
    first.wait()
    server.start("serve", "ready", seconds=3600)
    time.sleep(9)
    began, ended = server.marks(), {job for job, _, _ in server.marks("ended")}
    server.close()
    return {"began": len(began), "completed": len(ended), "lost": 20 - len(ended)}


def f3(peer: str) -> Result:
    """20 jobs of 1 s, killed, 10 s down, 5 s more: 100 runs, then 20 to make up and 100."""
    server = _server(peer)
    start = _second(4)
    first = server.start("add", "added", which="marked", count=20, start=start)
    _sleep_until(start + 4_500_000)
    first.send_signal(signal.SIGKILL)
    first.wait()
    killed = start + 4_500_000
    _sleep_until(killed + 10_000_000)
    server.start("serve", "ready", seconds=3600)
    while not (back := [at for _, _, at in server.marks() if at > killed]):
        time.sleep(0.1)
    _sleep_until(min(back) + 5_000_000)
    marks = server.marks()
    server.close()
    slots = [(slot, at) for _, slot, at in marks]
    once_more = sum(at > killed for _, at in slots)
    return {
        "runs_up": len(slots) - once_more,
        "runs_after": once_more, "doubled": len(marks) - len({mark[:2] for mark in marks}),
    }  # fmt: skip


def scenarios(*, quick: bool, seconds: int) -> dict[str, Scenario]:
    many, jobs = (2_000, 10_000) if quick else (10_000, 100_000)
    durable = ("zato-lite", "aps3-sqlite")
    return {
        "S1": Scenario(f"add {many:,}, one call each", lambda p: child("s1", p, count=many)),
        "S1b": Scenario(
            f"add {jobs:,} in bulk", lambda p: child("s1", p, count=jobs, mode="bulk"), PEERS[:1]
        ),
        "S2": Scenario("1,000 at once", lambda p: child("s2", p, count=1_000)),
        "S2x": Scenario(f"{many:,} at once", lambda p: child("s2", p, count=many)),
        "S3": Scenario("1,000/s, spread", lambda p: child("s3", p, count=1_000, seconds=seconds)),
        "S3a": Scenario(
            "1,000/s, all at the full second",
            lambda p: child("s3", p, count=1_000, seconds=seconds, aligned=True),
        ),
        "S4": Scenario("ramp", ramp(quick=quick)),
        "S5": Scenario(
            f"start over {jobs:,} dormant", filled("s5-fill", "s5", jobs, keep=True), durable
        ),
        "S5x": Scenario(
            "start over 1,000,000 dormant",
            filled("s5-fill", "s5", 1_000_000, keep=True), PEERS[:1],
        ),
        "S6": Scenario(
            f"{many:,} overdue", filled("s6-fill", "s6", many, keep=False), durable
        ),
        "S7": Scenario(f"idle over {jobs:,} dormant", lambda p: child("s7", p, count=jobs)),
        "F1": Scenario("two processes, one store", f1, durable),
        "F2": Scenario("killed 1 s into 20 runs", f2, durable),
        "F3": Scenario("killed, 10 s down, back", f3, durable),
    }  # fmt: skip


def median(results: list[Result]) -> Result:
    keys = {key for result in results for key in result}
    numbers = {key: [result[key] for result in results if key in result] for key in keys}
    return {
        key: statistics.median(values)
        for key, values in numbers.items()
        if all(isinstance(value, int | float) for value in values)
    }


def table(name: str, title: str, medians: dict[str, Result]) -> Iterator[str]:
    ours = medians.get("zato-lite", {})
    peers = list(medians)
    yield f"\n### {name}: {title}\n"
    yield "| | " + " | ".join(peers) + " |"
    yield "|---|" + "---:|" * len(peers)
    for key, more in FIGURES.items():
        if any(key in found for found in medians.values()):
            cells = [_cell(key, found, ours if p != "zato-lite" else {}, more=more)
                     for p, found in medians.items()]  # fmt: skip
            yield f"| {key} | " + " | ".join(cells) + " |"


def _cell(key: str, found: Result, ours: Result, *, more: bool) -> str:
    value = found.get(key)
    if value is None:
        return "-"
    if key in ours and value and ours[key]:
        ratio = ours[key] / value if more else value / ours[key]
        return f"{value:,.10g} ({ratio:.2f}x)"
    return f"{value:,.10g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenarios", default="", help="comma-separated; all by default")
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=20, help="of a steady scenario")
    parser.add_argument("--quick", action="store_true", help="smaller and shorter")
    parser.add_argument("--out", type=Path, default=ROOT / "bench" / "results")
    options = parser.parse_args()
    known = scenarios(quick=options.quick, seconds=options.seconds)
    wanted = [name for name in options.scenarios.split(",") if name] or list(known)
    asked = options.peers.split(",")
    everything: dict[str, Any] = {
        "python": platform.python_version(), "cpus": os.cpu_count(), "runs": options.runs,
        "quick": options.quick, "scenarios": {},
    }  # fmt: skip
    for name in wanted:
        scenario = known[name]
        results: dict[str, list[Result]] = {p: [] for p in scenario.peers if p in asked}
        for number in range(options.runs):
            for peer, found in results.items():
                found.append(scenario.run(peer))
                print(f"  {name} {number + 1}/{options.runs} {peer}: {found[-1]}", flush=True)
        medians = {peer: median(found) for peer, found in results.items()}
        print("\n".join(table(name, scenario.title, medians)), "\n", flush=True)
        everything["scenarios"][name] = {"runs": results, "medians": medians}
        options.out.mkdir(parents=True, exist_ok=True)
        kept = options.out / f"scheduler-{time.strftime('%Y%m%d-%H%M%S')}.json"
        if name == wanted[-1]:
            kept.write_text(json.dumps(everything, indent=1))
            print(f"kept in {kept.relative_to(ROOT) if kept.is_relative_to(ROOT) else kept}")


if __name__ == "__main__":
    main()
