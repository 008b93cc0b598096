"""CPU time per operation before and after a change: the same workloads in two trees, in pairs.

    make bench-before-after ARGS='568bd10'
    python -m bench.before_after REF [--pairs 10] [--workloads GET,POST] [--out FILE]

The tree of REF is checked out beside this one, and each tree runs its own copy of the scripts with
this interpreter, so that its environment has to have the dependencies of both. Both trees run in
each pair, in turns first. The table shows the median of the pairs' ratios, after to before, with
its 95 % confidence interval by the sign test; below 1 the change made it faster.
"""

import argparse
import contextlib
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
MIN_PAIRS = 6
"""Fewer pairs have no interval of 95 %: even all on one side happen more often by chance."""

MAX_RATIO = 1.03
"""A workload is slower if its whole interval lies above this."""

Figures = dict[str, float]
"""CPU time per operation in ns, by name of the workload."""


class Estimate(NamedTuple):
    """Median of the ratios of pairs, and its confidence interval."""

    median: float
    low: float
    high: float

    @property
    def is_slower(self) -> bool:
        """True if the change costs more than is allowed, with 97.5 % confidence."""
        return self.low > MAX_RATIO


def interval_rank(pairs: int, confidence: float = 0.95) -> int:
    """Return k so that the k-th least and k-th largest ratio enclose the median.

    Raises:
        ValueError: there are too few pairs.
    """
    tail, rank = 0.0, 0
    while (tail := tail + math.comb(pairs, rank) / 2**pairs) <= (1 - confidence) / 2:
        rank += 1
    if rank == 0:
        raise ValueError(f"too few pairs: {pairs}; use {MIN_PAIRS} or more")
    return rank


def estimate(before: Sequence[float], after: Sequence[float]) -> Estimate:
    """Return the median ratio of pairs, after to before, with its interval of 95 %."""
    ratios = sorted(b / a for a, b in zip(before, after, strict=True))
    rank = interval_rank(len(ratios))
    return Estimate(statistics.median(ratios), ratios[rank - 1], ratios[-rank])


class Result(NamedTuple):
    """Output of a script, and the CPU seconds of its process and children, user and system."""

    output: str
    cpu_s: float


class Workload(NamedTuple):
    """A script with its arguments.

    Attributes:
        names: of the workloads that it measures.
        figures: reads the CPU time per operation from a run, and from one of ``floor``.
        floor: arguments of a run that does hardly anything, whose CPU time is subtracted.
        fill: arguments of a run that fills a store before, in the folder of both.
    """

    names: tuple[str, ...]
    command: tuple[str, ...]
    figures: Callable[[Result, Result | None], Figures]
    floor: tuple[str, ...] = ()
    fill: tuple[str, ...] = ()


def printed(rows: Mapping[str, str]) -> Callable[[Result, Result | None], Figures]:
    """Read figures in ns that a script prints itself: its CPU time without the start."""

    def read(result: Result, _: Result | None) -> Figures:
        found = {}
        for name, row in rows.items():
            match = re.search(rf"^{re.escape(row)}\s+([\d,]+) ns", result.output, re.MULTILINE)
            if match is None:
                raise ValueError(f"no row {row!r} in: {result.output[-1000:]}")
            found[name] = float(match[1].replace(",", ""))
        return found

    return read


def spent(name: str, operations: int) -> Callable[[Result, Result | None], Figures]:
    """Divide the CPU time of the whole process, less that of the floor, by the operations."""

    def read(result: Result, floor: Result | None) -> Figures:
        base = 0.0 if floor is None else floor.cpu_s
        return {name: (result.cpu_s - base) / operations * 1e9}

    return read


def scaled(name: str, field: str, factor: float) -> Callable[[Result, Result | None], Figures]:
    """Read a figure of a scenario of the scheduler."""

    def read(result: Result, _: Result | None) -> Figures:
        return {name: json.loads(result.output.strip().splitlines()[-1])[field] * factor}

    return read


def per_fire(name: str) -> Callable[[Result, Result | None], Figures]:
    """Read the CPU time per run from a scenario of the scheduler."""

    def read(result: Result, _: Result | None) -> Figures:
        found = json.loads(result.output.strip().splitlines()[-1])
        if "cpu_us_per_fire" in found:
            return {name: found["cpu_us_per_fire"] * 1e3}
        if found["share"] < MIN_SHARE:
            raise ValueError(f"{name}: only {found['share']:.0%} of the runs started in time")
        return {name: found["cpu_percent"] / 100 * SECONDS / found["fired"] * 1e9}

    return read


MIN_SHARE = 0.95
"""Least share of runs that must start in time for a steady scenario to count."""

MAX_TRIES = 3
SECONDS = 4
"""Seconds that the steady scenarios S3 and S4 last."""


def scenario(name: str, **options: int) -> tuple[str, ...]:
    """Return the command of a scenario of the scheduler."""
    return ("-m", "bench.scheduler.child", name, "zato-lite", json.dumps(options))


S1 = Workload(
    ("S1",), scenario("s1", count=10_000), spent("S1", 10_000), floor=scenario("s1", count=1)
)

WORKLOADS = (
    Workload(
        ("GET", "POST"),
        ("bench/http_parts.py", "--rounds", "5", "--number", "20000"),
        printed({"GET": "GET zato-lite", "POST": "POST zato-lite"}),
    ),
    Workload(
        ("invoke", "invoke typed"),
        ("bench/invoke.py", "--rounds", "5", "--number", "20000"),
        printed(
            {"invoke": "self.invoke, trivial", "invoke typed": "self.invoke, typed in and out"}
        ),
    ),
    S1,
    Workload(("S2",), scenario("s2", count=10_000), per_fire("S2")),
    Workload(("S3",), scenario("s3", count=1_000, seconds=SECONDS), per_fire("S3")),
    Workload(("S4",), scenario("s3", count=5_000, seconds=SECONDS), per_fire("S4")),
    # A start over dormant jobs with a first run, each overdue run, and a second of idleness.
    Workload(
        ("S5",),
        scenario("s5"),
        scaled("S5", "cpu_ms", 1e6),
        fill=scenario("s5-fill", count=100_000),
    ),
    Workload(
        ("S6",),
        scenario("s6", count=10_000),
        scaled("S6", "cpu_ms", 1e6 / 10_000),
        fill=scenario("s6-fill", count=10_000),
    ),
    Workload(("S7",), scenario("s7", count=100_000), scaled("S7", "cpu_percent", 1e7)),
)


def run(tree: Path, command: Sequence[str]) -> Result:
    """Run a script of a tree.

    Raises:
        RuntimeError: it failed.
    """
    environ = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": ""}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=tree, env=environ, stdout=output, stderr=errors
        )
        _, status, usage = os.wait4(process.pid, 0)  # its usage and its children's, no other's
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if process.returncode:
            words = errors.read()[-3000:]
            raise RuntimeError(f"{' '.join(command)} failed in {tree}:\n{words}")
        return Result(output.read(), usage.ru_utime + usage.ru_stime)


def measure(tree: Path, workload: Workload) -> Figures:
    """Run a workload once in a tree; again if the machine was too busy for its figures.

    Raises:
        ValueError: it was too busy each time.
    """
    for _ in range(MAX_TRIES - 1):
        with contextlib.suppress(ValueError):
            return _measure(tree, workload)
    return _measure(tree, workload)


def _measure(tree: Path, workload: Workload) -> Figures:
    floor = run(tree, workload.floor) if workload.floor else None
    if not workload.fill:
        return workload.figures(run(tree, workload.command), floor)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        run(tree, (*workload.fill, "--folder", folder))
        return workload.figures(run(tree, (*workload.command, "--folder", folder)), floor)


@contextlib.contextmanager
def worktree(ref: str) -> Iterator[Path]:
    """Check a commit out beside this tree for as long as the block lasts."""
    with tempfile.TemporaryDirectory(prefix="before-") as folder:
        tree = Path(folder) / "tree"
        git = ("git", "-C", str(ROOT), "worktree")
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), ref], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def compare(before: Path, after: Path, workload: Workload, pairs: int) -> dict[str, list[Figures]]:
    """Run a workload in both trees, as often as there are pairs, in turns first."""
    trees = {"before": before, "after": after}
    found: dict[str, list[Figures]] = {"before": [], "after": []}
    for pair in range(pairs):
        for which in sorted(trees, reverse=pair % 2 == 0):
            found[which].append(measure(trees[which], workload))
        latest = {which: figures[-1] for which, figures in found.items()}
        print(f"  {pair + 1}/{pairs} {latest}", file=sys.stderr, flush=True)
    return found


def row(name: str, found: Mapping[str, Sequence[Figures]]) -> str:
    """Return a line of the table."""
    before, after = ([figures[name] for figures in found[which]] for which in ("before", "after"))
    result = estimate(before, after)
    verdict = "slower" if result.is_slower else "ok"
    return (
        f"| {name} | {statistics.median(before):,.0f} | {statistics.median(after):,.0f} "
        f"| {result.median:.3f} | {result.low:.3f} to {result.high:.3f} | {verdict} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ref", help="the commit to compare this tree with")
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--workloads", default="", help="comma-separated; all by default")
    parser.add_argument("--out", type=Path, help="JSON file for the figures of all runs")
    options = parser.parse_args()
    interval_rank(options.pairs)
    wanted = set(filter(None, options.workloads.split(",")))
    kept: dict[str, dict[str, list[Figures]]] = {}
    lines = [
        "| workload | before, ns | after, ns | ratio | 95 % interval | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    with worktree(options.ref) as before:
        for tree in (before, ROOT):
            run(tree, S1.floor)  # compiles the modules, which no pair is to pay for
        for workload in WORKLOADS:
            names = [name for name in workload.names if not wanted or name in wanted]
            if names:
                print(", ".join(names), file=sys.stderr, flush=True)
                found = compare(before, ROOT, workload, options.pairs)
                lines += [row(name, found) for name in names]
                kept[", ".join(names)] = found
    print("\n".join(lines))
    if options.out is not None:
        options.out.write_text(json.dumps(kept, indent=1))


if __name__ == "__main__":
    main()
