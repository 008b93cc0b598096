"""Files as the tools write them: what is read, what is reported, and the next fifty slots.

``ZATO_LITE_WRITE_EXPECTED=1`` writes what is read to ``expected/``, to be reviewed.
"""

import json
import os
import warnings
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.builtin.imports import dialects
from tests.builtin.imports.dialects import START, chain, ours
from tests.builtin.imports.test_oracles import _restored
from zato_lite.builtin.imports.entry import Entry, Options
from zato_lite.builtin.imports.readers import READERS
from zato_lite.wire import decode, encode

FOLDER = Path(__file__).parent
FILES = sorted((FOLDER / "files").glob("*/*"))
OPTIONS = Options("ops.run", timezone="UTC", now=dialects.NOW)
FIFTY = 50
LEAST_FILES = 15


def _entries(path: Path, text: str | None = None) -> list[Entry]:
    options = OPTIONS._replace(with_user=path.suffix == ".system")
    return [*READERS[path.parent.name](path.read_text() if text is None else text, options)]


def _of(kind: str, suffix: str = "") -> list[Path]:
    return [path for path in FILES if path.parent.name == kind and path.name.endswith(suffix)]


@pytest.fixture(autouse=True)
def tools_may_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_each_format_has_files_enough() -> None:
    assert {kind: len(_of(kind)) >= LEAST_FILES for kind in READERS} == dict.fromkeys(
        READERS, True
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_all_of_a_file_is_read_or_reported(path: Path) -> None:
    expected = FOLDER / "expected" / path.parent.name / f"{path.name}.json"
    found = [[each.place, each.fields, list(each.differences)] for each in _entries(path)]

    if os.environ.get("ZATO_LITE_WRITE_EXPECTED"):
        expected.parent.mkdir(parents=True, exist_ok=True)
        expected.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")

    assert json.loads(json.dumps(found)) == json.loads(expected.read_text())
    for each in _entries(path):
        assert each.fields is not None or each.differences
        assert each.fields is None or dialects.job_of(each.fields)


# ---- nothing is dropped silently


def _with_unknown_keys(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, Any]]:
    """Yield the places of all objects, and the document with an unknown key there."""
    if isinstance(value, Mapping):
        yield place, {**value, "zz_unknown": 1}
    parts: Any = value.items() if isinstance(value, Mapping) else enumerate(value)
    for key, part in parts:
        if isinstance(part, Mapping | list):
            for deeper, changed in _with_unknown_keys(part, (*place, key)):
                copy = dict(value) if isinstance(value, Mapping) else list(value)
                copy[key] = changed
                yield deeper, copy


FREE = {"args", "kwargs", "meta", "headers", "options"}
"""Objects whose keys are data, carried over or reported as a whole."""


@pytest.mark.parametrize(
    "path",
    [*_of("apscheduler"), *_of("celery", ".json")],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_an_unknown_key_anywhere_is_reported(path: Path) -> None:
    document = decode(path.read_text())
    refused = [each for each in _entries(path) if each.fields is None]
    for place, changed in _with_unknown_keys(document):
        inner = str(_at(document, place).keys())
        if not place or FREE & {*place} or "__apscheduler_pickle__" in inner:
            continue
        if "model" in (row := _at(document, place[:1])) and not _is_used(row, document):
            continue
        after = _entries(path, encode(changed).decode())
        reported = [text for each in after for text in each.differences if "zz_unknown" in text]
        refused_now = [each for each in after if each.fields is None]
        assert reported or len(refused_now) > len(refused) or refused, place


def _is_used(row: Mapping[str, Any], document: Any) -> bool:
    """Return True for a periodic task of a fixture, and for a schedule that one has."""
    kind = str(row["model"]).rpartition(".")[2].removesuffix("schedule")
    used = {each["fields"].get(kind) for each in document if kind in each["fields"]}
    return kind == "periodictask" or row.get("pk") in used


def _at(value: Any, place: tuple[Any, ...]) -> Any:
    for key in place:
        value = value[key]
    return value


# ---- the next fifty slots


@pytest.mark.parametrize("path", _of("apscheduler"), ids=lambda path: path.name)
def test_exports_have_the_slots_that_apscheduler_finds(path: Path) -> None:
    pytest.importorskip("apscheduler", reason="APScheduler is not installed: make oracle-imports")
    jobs = decode(path.read_text()).get("jobs", [])

    for job, found in zip(jobs, _entries(path), strict=False):
        fields = found.fields
        if fields is None or job["trigger"]["__apscheduler_class__"].endswith("DateTrigger"):
            continue
        if fields.get("jitter_ms") or path.stem == "postponed":
            continue
        expected = _steady(dialects.aps_slots(_any_restored(job["trigger"]), FIFTY), found)
        slots = _steady(ours(fields, FIFTY), found)
        compared = min(len(slots), len(expected))
        assert slots[:compared] == expected[:compared], found
        assert compared >= len(expected) - 1


def _steady(slots: list[datetime], found: Entry) -> list[datetime]:
    """Return the slots that the import promises: later than now, and away from clock changes."""
    differences = " ".join(found.differences)
    if "no runs after 2099" in differences:
        slots = [slot for slot in slots if slot.year <= 2099]
    if "at clock changes" in differences:
        slots = [slot for slot in slots if slot.month not in (3, 10)][:30]
    return [slot for slot in slots if slot > START]


def _any_restored(sent: dict[str, Any]) -> Any:
    if sent["__apscheduler_class__"].endswith("CronTrigger"):
        return _restored(sent)
    from apscheduler.triggers.interval import IntervalTrigger  # noqa: PLC0415

    from zato_lite.builtin.imports.apscheduler import _value  # noqa: PLC0415

    found = IntervalTrigger.__new__(IntervalTrigger)
    state = {key: _value(each) for key, each in sent["__apscheduler_state__"].items()}
    found.__setstate__(state)
    return found


@pytest.mark.parametrize(
    "path",
    [*_of("crontab"), *_of("kubernetes")],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_crontabs_have_the_slots_that_croniter_finds(path: Path) -> None:
    croniter = pytest.importorskip("croniter").croniter

    for found in _entries(path):
        expression = (found.fields or {}).get("cron_definition", "@every")
        if found.fields is None or expression.startswith("@every") or "h" in expression.split():
            continue
        expression = {"@hourly": "0 * * * *", "@monthly": "0 0 1 * *"}.get(expression, expression)
        days, weekdays = expression.split()[2], expression.split()[4]
        both = days.startswith("*") or weekdays.startswith("*")
        zone = ZoneInfo(found.fields.get("timezone", "UTC"))
        base = START.astimezone(zone).replace(tzinfo=None)
        wall = croniter(expression, base, day_or=not both)
        expected = [wall.get_next(datetime).replace(tzinfo=zone) for _ in range(FIFTY)]
        slots = [slot.astimezone(zone) for slot in ours(found.fields, FIFTY)]
        steady = [(a, b) for a, b in zip(slots, expected, strict=True) if not _near_change(a)]
        assert all(a == b for a, b in steady), found


def _near_change(moment: datetime) -> bool:
    """Return True in months in which clocks change, and after them: counts differ from there."""
    return moment.tzinfo is not UTC and (moment.month, moment.day) > (3, 7)


def _celery_schedules(path: Path) -> dict[str, Any]:
    """Return the schedules of a file as Celery, RedBeat or django-celery-beat make them."""
    if path.name.endswith(".py.txt"):
        module: dict[str, Any] = {}
        exec(compile(path.read_text(), path.name, "exec"), module)  # noqa: S102 - our own file
        app = module.get("app")
        found = app.conf.beat_schedule if app else None
        found = found or module.get("beat_schedule") or module["CELERY_BEAT_SCHEDULE"]
        return {name: entry["schedule"] for name, entry in found.items()}
    decoder = pytest.importorskip("redbeat.decoder", reason="RedBeat: make oracle-imports")
    found = json.loads(path.read_text(), cls=decoder.RedBeatJSONDecoder)
    if isinstance(found, dict) and "schedule" not in found:
        found = [
            json.loads(each["definition"], cls=decoder.RedBeatJSONDecoder)
            for each in found.values()
        ]
    return {
        each["name"]: each["schedule"] for each in (found if isinstance(found, list) else [found])
    }


@pytest.mark.parametrize(
    "path",
    [p for p in _of("celery") if p.stem not in ("unreadable.py", "periodic.py", "plain")
     and not p.name.startswith("django-")],
    ids=lambda path: path.name,
)  # fmt: skip
def test_schedules_have_the_slots_that_celery_finds(path: Path) -> None:
    celery = pytest.importorskip("celery", reason="Celery is not installed: make oracle-imports")
    app = celery.Celery(set_as_current=False)
    app.conf.timezone = "UTC"
    schedules = _celery_schedules(path)
    compared = 0

    for found in _entries(path):
        if found.fields is None:
            continue
        schedule = schedules[found.fields["name"]]
        if found.fields["job_type"] == "interval_based":
            slots = ours(found.fields, FIFTY)
            period = getattr(schedule, "run_every", schedule)
            seconds = period.total_seconds() if hasattr(period, "total_seconds") else period
            assert {(b - a).total_seconds() for a, b in pairwise(slots)} == {seconds}
            compared += 1
            continue
        schedule.nowfun, schedule.app = (lambda: START), app

        def step(last: datetime, schedule: Any = schedule) -> datetime:
            before, delta, _ = schedule.remaining_delta(last)
            moment: datetime = before + delta
            return moment

        assert ours(found.fields, FIFTY) == chain(step, FIFTY), found
        compared += 1

    assert compared or path.stem == "redbeat-rrule"
