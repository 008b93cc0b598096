"""Random schedules, compared with programs that own their dialect: Debian's cron and systemd."""

import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.builtin.imports import dialects
from tests.builtin.imports.dialects import SAMPLE, SLOTS, START, ours
from zato_lite.builtin.imports import crontab, systemd
from zato_lite.builtin.imports.entry import Entry, NoEquivalentError, Options
from zato_lite.builtin.imports.systemd_calendar import convert

OPTIONS = Options("ops.run", timezone="UTC", now=dialects.NOW)
LINES_A_FILE = 400
"""Debian's crontab accepts up to 1,000 lines."""

NEVER_OR_ODD = re.compile(r"do not wrap around|is not a valid|~ is H")
"""Reasons for refusing what Debian's cron accepts: ranges that are empty there, as ``22-2``, and
texts of which it reads a part only, as ``*5`` and ``1-5-6``."""


def _program(name: str, why: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed; {why}")
    return found


# ---- Debian's cron


def _noisy_line(chance: random.Random) -> str:
    """Return five fields, most of them valid, some with one wrong character."""
    line = dialects.crontab_line(chance)
    if chance.random() < 0.6:
        at = chance.randrange(len(line))
        noise = chance.choice(["*", "/", "-", ",", "0", "7", "60", "sun", "L", "?", "#", "5/15"])
        line = line[:at] + noise + line[at + chance.randint(0, 1) :]
    if chance.random() < 0.1:
        line = chance.choice(["@daily", "@hourly", "@weekly", "@Daily", "@every_minute", "@"])
    return line


def _refused_by_cron(program: str, lines: Sequence[str], folder: Path) -> set[int]:
    """Return the places of the lines that ``crontab -n`` refuses."""
    file = folder / "crontab.txt"
    refused: set[int] = set()
    for at, line in enumerate(lines):
        file.write_text(f"{line} /bin/x\n")
        done = subprocess.run([program, "-n", str(file)], capture_output=True, check=False)  # noqa: S603
        if done.returncode:
            refused.add(at)
    return refused


def test_the_importer_accepts_no_line_that_debians_cron_refuses(tmp_path: Path) -> None:
    program = _program("crontab", "apt install cron")
    (tmp_path / "empty").write_text("* * * * * x\n")
    probe = subprocess.run([program, "-n", str(tmp_path / "empty")], check=False)  # noqa: S603
    if probe.returncode:
        pytest.skip("this crontab has no -n; Debian's has")
    chance = random.Random("debian")
    lines = [_noisy_line(chance) for _ in range(SAMPLE)]

    refused = _refused_by_cron(program, lines, tmp_path)

    wrong = []
    for at, line in enumerate(lines):
        [found] = crontab.read(f"{line} /bin/x", OPTIONS) if line[0] != "#" else [Entry("", {})]
        if at in refused and found.fields is not None and line[0] != "-":  # SUSE's mark
            wrong.append(f"cron refuses {line}")
        if at not in refused and found.fields is None:
            reason = found.differences[0]
            if not NEVER_OR_ODD.search(reason) and "six or more" not in reason:
                wrong.append(f"cron accepts {line}: {reason}")
    assert wrong == []
    assert 0 < len(refused) < len(lines)


# ---- systemd


def _systemd_slots(
    program: str, expressions: Sequence[str], count: int = SLOTS
) -> list[list[datetime] | None]:
    """Return the next slots of expressions as systemd finds them; None if it refuses one."""
    start = f"{START.replace(tzinfo=None).isoformat(' ', 'seconds')}"
    done = subprocess.run(  # noqa: S603
        [program, "calendar", f"--base-time={start}", f"--iterations={count}", *expressions],
        capture_output=True,
        text=True,
        check=False,
        env={"TZ": "UTC", "LC_ALL": "C"},
    )
    refused = set(re.findall(r"calendar specification '(.*)': ", done.stderr))
    blocks = iter(re.split(r"\n{2,}", done.stdout.strip()))
    found: list[list[datetime] | None] = []
    for expression in expressions:
        if expression in refused:
            found.append(None)
            continue
        moments = re.findall(r"(?:elapse|#\d+): \w{3} ([\d-]{10} [\d:]{8}) UTC", next(blocks))
        found.append([datetime.fromisoformat(each).replace(tzinfo=UTC) for each in moments])
    assert next(blocks, None) is None
    return found


def test_calendar_expressions_have_the_slots_that_systemd_finds() -> None:
    program = _program("systemd-analyze", "apt install systemd")
    chance = random.Random("systemd")
    expressions = [dialects.calendar_expression(chance) for _ in range(SAMPLE)]
    wrong = []

    for first in range(0, SAMPLE, LINES_A_FILE):
        part = expressions[first : first + LINES_A_FILE]
        for expression, expected in zip(part, _systemd_slots(program, part), strict=True):
            last = datetime(2090, 1, 1, tzinfo=UTC)
            try:
                fields = convert(expression).fields
                found = [at for at in ours({"name": "x", "service": "y", **fields}) if at < last]
            except NoEquivalentError:
                fields, found = {}, None
            if found != (expected and [at for at in expected if at < last]):
                wrong.append((expression, fields, expected))

    assert wrong == []


def test_timer_files_have_the_slots_that_systemd_finds() -> None:
    program = _program("systemd-analyze", "apt install systemd")
    folder = Path(dialects.__file__).parent / "files" / "systemd"
    found = {
        expression: entry.fields
        for path in sorted(folder.iterdir())
        for entry in systemd.read(path.read_text(), OPTIONS)
        if (expression := entry.place.partition("OnCalendar=")[2]) and "Warsaw" not in expression
    }

    for expression, expected in zip(found, _systemd_slots(program, [*found], 50), strict=True):
        fields = found[expression]
        assert (fields is None) == (expected is None) or ":00.5" in expression
        if fields is not None and expected is not None:
            slots = [at for at in ours(fields, 50) if at.year < 2090]
            assert slots[: len(expected)] == expected[: len(slots)], expression
