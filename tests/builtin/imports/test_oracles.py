"""Random schedules of each dialect, compared with the tool's own library."""

import io
import random
import warnings
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from tests.builtin.imports import dialects
from tests.builtin.imports.dialects import SAMPLE, ours
from zato_lite.builtin.imports import apscheduler, celery, crontab, kubernetes
from zato_lite.builtin.imports.entry import Entry, Options
from zato_lite.wire import decode, encode

OPTIONS = Options("ops.run", timezone="UTC", now=dialects.NOW)
ALLOWED_REFUSALS = ("on certain days of the week only", "never on the given days of week")
"""Reasons for which a schedule that APScheduler accepts is refused."""


def _one(entries: Iterator[Entry]) -> Entry:
    [found] = entries
    return found


@pytest.fixture(autouse=True)
def tools_may_warn() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def test_crontabs_have_the_slots_that_croniter_finds() -> None:
    chance = random.Random("crontab")
    wrong = []

    for _ in range(SAMPLE):
        line = dialects.crontab_line(chance)
        found = _one(crontab.read(f"{line} /bin/x", OPTIONS))
        days, weekdays = line.split()[2], line.split()[4]
        both = days.startswith("*") or weekdays.startswith("*")
        expected = dialects.croniter_slots(line, both=both)
        if found.fields is None or ours(found.fields) != expected:
            wrong.append((line, found))

    assert wrong == []


def test_cron_jobs_of_kubernetes_have_the_slots_that_croniter_finds() -> None:
    chance = random.Random("kubernetes")
    wrong = []

    for _ in range(SAMPLE):
        line = dialects.crontab_line(chance)
        days, weekdays = line.split()[2], line.split()[4]
        # robfig/cron: a step makes «*» an ordinary range
        both = "*" in (days, weekdays)
        found = ours({**_cron_job(kubernetes.convert(line))})
        if found != dialects.croniter_slots(line, both=both):
            wrong.append(line)

    assert wrong == []


def _cron_job(expression: str) -> dict[str, Any]:
    return {
        "name": "x",
        "service": "y",
        "job_type": "cron_style",
        "cron_definition": expression,
    }


def test_crontabs_of_celery_have_the_slots_that_celery_finds() -> None:
    pytest.importorskip("celery", reason="Celery is not installed: make oracle-imports")
    chance = random.Random("celery")
    wrong = []

    for _ in range(SAMPLE):
        arguments = dialects.celery_arguments(chance)
        if not arguments:
            continue
        document = {"x": {"task": "t", "schedule": arguments}}
        found = _one(celery.read(encode(document).decode(), OPTIONS))
        expected = dialects.celery_slots(arguments)
        if found.fields is None or ours(found.fields) != expected:
            wrong.append((arguments, found))

    assert wrong == []


def _aps_triggers(chance: random.Random) -> Iterator[tuple[dict[str, Any], Any]]:
    cron = pytest.importorskip(
        "apscheduler.triggers.cron", reason="APScheduler is not installed: make oracle-imports"
    )
    count = 0
    while count < SAMPLE:
        arguments = dialects.aps_arguments(chance)
        try:
            trigger = cron.CronTrigger(timezone="UTC", **arguments)
        except ValueError:
            continue
        count += 1
        yield arguments, trigger


def _exported(triggers: list[Any]) -> str:
    from apscheduler.schedulers.background import BackgroundScheduler  # noqa: PLC0415

    scheduler = BackgroundScheduler(timezone="UTC")
    for trigger in triggers:
        scheduler.add_job("time:sleep", trigger, next_run_time=dialects.START)
    scheduler.start(paused=True)
    written = io.StringIO()
    scheduler.export_jobs(written)
    scheduler.shutdown(wait=False)
    return written.getvalue()


def test_exports_of_apscheduler_have_the_slots_that_apscheduler_finds() -> None:
    triggers = dict(enumerate(_aps_triggers(random.Random("apscheduler"))))
    document = decode(_exported([trigger for _, trigger in triggers.values()]))
    by_text = {str(trigger): trigger for _, trigger in triggers.values()}
    wrong, refused = [], 0

    for job, found in zip(
        document["jobs"], apscheduler.read(encode(document).decode(), OPTIONS), strict=True
    ):
        trigger = _restored(job["trigger"])
        if found.fields is None:
            refused += 1
            assert any(reason in found.differences[0] for reason in ALLOWED_REFUSALS), found
        elif ours(found.fields) != _until_2099(found, dialects.aps_slots(trigger)):
            wrong.append((str(trigger), found))

    assert by_text
    assert wrong == []
    assert refused < SAMPLE / 4


def _until_2099(found: Entry, slots: list[datetime]) -> list[datetime]:
    """Return the slots that the import has promised."""
    is_cut = "no runs after 2099" in found.differences
    return [slot for slot in slots if slot.year <= 2099 or not is_cut]


def _restored(trigger: dict[str, Any]) -> Any:
    """Return the trigger as APScheduler reads it back."""
    import pickle  # noqa: PLC0415
    from base64 import b64decode  # noqa: PLC0415

    from apscheduler.triggers.cron import CronTrigger  # noqa: PLC0415

    def value(sent: Any) -> Any:
        if isinstance(sent, list):
            return [value(each) for each in sent]
        if isinstance(sent, dict):
            return pickle.loads(b64decode(sent["__apscheduler_pickle__"]))  # noqa: S301 - our own
        return sent

    found = CronTrigger.__new__(CronTrigger)
    state = trigger["__apscheduler_state__"]
    found.__setstate__({key: value(each) for key, each in state.items()})
    return found


def test_flat_triggers_have_the_slots_that_apscheduler_finds() -> None:
    wrong, refused = [], 0

    for arguments, trigger in _aps_triggers(random.Random("flat")):
        dates = {
            key: value.isoformat() if hasattr(value, "isoformat") else value
            for key, value in arguments.items()
        }
        job = {"id": "x", "func": "f", "trigger": "cron", "timezone": "UTC", **dates}
        found = _one(apscheduler.read(encode([job]).decode(), OPTIONS))
        if found.fields is None:
            refused += 1
            assert any(reason in found.differences[0] for reason in ALLOWED_REFUSALS), found
        elif ours(found.fields) != _until_2099(found, dialects.aps_slots(trigger)):
            wrong.append((arguments, found))

    assert wrong == []
    assert refused < SAMPLE / 4
