"""Built-in services refuse any nonsense with an error that names the mistake."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zato_lite.errors import BadInputError, InvocationError, ZatoLiteError
from zato_lite.testing.app import Sandbox, sandbox

JOB = "zato.scheduler.job"
FIELDS = (
    "id", "job_id", "name", "service", "job_type", "start_date", "end_date", "seconds",
    "milliseconds", "weeks", "repeats", "cron_definition", "timezone", "dst_gap", "is_active",
    "extra", "calendar", "on_excluded", "on_overlap", "jitter_ms", "pause_until", "keep_days",
    "max_retries", "page", "page_size", "cur_page", "query", "service_name", "paginate",
    "since_iso", "since_timestamp", "outcomes", "running_runs", "since_idx", "id_list",
    "current_run", "chart_since_iso", "chart_until_iso", "recent_since_iso", "recent_limit",
    "note", "until", "count", "after", "start", "limit", "jobs", "at", "first", "last",
    "document", "scheduler", "dry_run", "format", "with_user", "password", "roles", "patterns",
    "dates", "weekdays", "yearly", "ranges", "included", "description", "cluster_id",
    "payload", "timeout", "is_async", "payload_name", "name_filter", "is_internal",
)  # fmt: skip
MOMENTS = (
    "2027-01-15 08:00:00", "2027-03-28 02:30:00", "0001-01-01", "9999-12-31",
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999-14:00",
)  # fmt: skip
WORDS = (
    "one_time", "interval_based", "cron_style", "crm.work", "nightly", "hourly", "closed",
    "Europe/Warsaw", "Pacific/Kiritimati", "* * * * *", "0 0 29 2 *", "@every 1h", "H H * * *",
    "skip", "next_day", "all", "admin", "crontab", "celery", "apscheduler", "quartz", "easter",
    "0 5 * * * work", '{"jobs": [{"trigger": "date"}]}', "zato.service.invoke", "$HOME", "[[",
    "{scheduler: [{name: x, service: crm.work}]}", "x.py", "eA==", "é", "\x00", "",
)  # fmt: skip
NUMBERS = (0, 1, 2, -1, 7, 1000, 10**9, 2**31, 2**53, 2**63 - 1, -(2**63), 0.5, 1e13, 1e300)
LEAF = st.sampled_from((*MOMENTS, *WORDS, *NUMBERS, None, True, False))
FIELD = st.sampled_from(FIELDS)
VALUE = st.recursive(
    LEAF,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(FIELD, each, max_size=4),
    max_leaves=6,
)
SENT = st.dictionaries(FIELD, VALUE, max_size=7) | VALUE
LEFT_OUT = {
    "demo.sleep",  # sleeps
    "test.raise",  # fails on purpose
    "zato.service.edit",  # switches the others off
}
CALENDAR = {"name": "closed", "ranges": [{"first": "2027-01-01", "last": "9999-12-31"}]}
HOURLY = {"name": "hourly", "service": "crm.work", "job_type": "interval_based", "minutes": 60}
NIGHTLY = {
    "name": "nightly", "service": "crm.work", "job_type": "cron_style", "calendar": "closed",
    "cron_definition": "30 2 * * *", "timezone": "Europe/Warsaw",
}  # fmt: skip
DATE = "9999-12-31T23:59:59.999999-14:00"
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{one}: &{one} [{', '.join([f'*{chr(ord(one) - 1)}'] * 9)}]" for one in "bcdefghi"
)
MERGES = "\n".join(
    ["a: &a {" + ", ".join(f"k{n}: 1" for n in range(1_000)) + "}", "b:", *["- <<: *a"] * 1_000]
)


class NonsenseSender:
    """An app that receives many payloads; opened once, since that takes longer than an answer."""

    def __init__(self, runner: asyncio.Runner, box: Sandbox) -> None:
        self.runner, self.box = runner, box

    def unexpected(self, sent: Any) -> list[str]:
        """Return the unexpected errors of all services for a payload."""
        return self.runner.run(self._ask(sent))

    async def _ask(self, sent: Any) -> list[str]:
        names = [entry.name for entry in self.box.app.registry if entry.name not in LEFT_OUT]
        found = [await _unexpected(self.box, name, sent) for name in names]
        return [each for each in found if each is not None]


@pytest.fixture(scope="module")
def sender() -> Iterator[NonsenseSender]:
    with asyncio.Runner() as runner:
        opening = sandbox()
        box = runner.run(opening.__aenter__())
        runner.run(_create_jobs(box))
        yield NonsenseSender(runner, box)
        runner.run(opening.__aexit__(None, None, None))


async def _create_jobs(box: Sandbox) -> None:
    await box.invoke("zato.scheduler.calendar.create", CALENDAR)
    await box.invoke(f"{JOB}.create", {**HOURLY, "service": "demo.ping"})
    await box.invoke(f"{JOB}.create", {**NIGHTLY, "service": "demo.ping"})


async def _unexpected(box: Sandbox, service: str, sent: Any) -> str | None:
    try:
        async with asyncio.timeout(20):
            await box.invoke(service, sent)
    except ZatoLiteError as error:
        return f"{service}: {error}" if isinstance(error, InvocationError) else None
    except Exception as error:  # noqa: BLE001 - it is what is looked for
        return f"{service}: {sent!r}: {error!r}"
    return None


@settings(max_examples=10, database=None)
@given(sent=SENT)
def test_no_built_in_service_fails_unexpectedly_for_any_payload(
    sender: NonsenseSender, sent: Any
) -> None:
    assert sender.unexpected(sent) == []


@pytest.mark.slow
@settings(max_examples=1_000, database=None)
@given(sent=SENT)
def test_no_built_in_service_fails_unexpectedly_for_many_payloads(
    sender: NonsenseSender, sent: Any
) -> None:
    assert sender.unexpected(sent) == []


@pytest.mark.parametrize(
    ("service", "sent"),
    [
        (f"{JOB}.apply", {"jobs": [1]}),
        (f"{JOB}.apply", {"scheduler": [[]]}),
        (f"{JOB}.apply", {"document": "[" * 2_000}),
        (f"{JOB}.apply", {"document": "{a: " * 2_000}),
        (f"{JOB}.apply", {"document": "- " * 2_000}),
        (f"{JOB}.apply", {"document": LAUGHS}),
        (f"{JOB}.apply", {"document": "&a [*a]"}),
        (f"{JOB}.apply", {"document": "scheduler: [{name: x, extra: 1" + ":59" * 3_000 + "}]"}),
        (f"{JOB}.apply", {"document": "!!bool x"}),
        (f"{JOB}.apply", {"document": "!!timestamp x"}),
        (f"{JOB}.apply", {"document": "scheduler: [{a: !!int ''}]"}),
        (f"{JOB}.get-upcoming", {"name": ["x"]}),
        (f"{JOB}.get-history", {"id": 1, "since_timestamp": 1e300}),
        (f"{JOB}.edit", {"id": 1, "end_date": DATE}),
        (f"{JOB}.pause", {"id": 1, "until": DATE}),
        (f"{JOB}.import", {"format": "celery", "document": '{"a": {"task": ' + "[" * 254}),
        (f"{JOB}.import", {"format": "celery", "document": "[" * 252 + "]" * 252}),
        ("zato.service.invoke", {"name": "zato.service.invoke"}),
        ("zato.hot-deploy.create", {"payload_name": "x.py", "payload": "é"}),
        ("demo.sleep", {"seconds": "x"}),
        ("demo.sleep", {"seconds": 1, "jitter": 1e308}),
    ],
)
async def test_payloads_that_once_failed_unexpectedly_are_bad_input(
    box: Sandbox, service: str, sent: Any
) -> None:
    await box.invoke(f"{JOB}.create", HOURLY)

    with pytest.raises(BadInputError):
        await box.invoke(service, sent)


@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("celery", '{"a": {"task": "crm.work", "schedule": 1e300}}'),
        ("apscheduler", '{"jobs": [{"trigger": "interval", "max_instances": "x"}]}'),
        ("apscheduler", '{"jobs": [{"trigger": {"type": "interval", "jitter": 1e308}}]}'),
    ],
)
async def test_an_unreadable_entry_is_reported_without_an_error(
    box: Sandbox, kind: str, document: str
) -> None:
    told = await box.invoke(f"{JOB}.import", {"format": kind, "document": document})

    assert told["entries"][0]["definition"] is None
    assert told["entries"][0]["errors"]


async def test_a_caller_cannot_read_the_servers_environment_by_applying_a_document(
    box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_SERVER", "hunter2")
    document = "scheduler: [{name: x, service: crm.work, extra: '${SECRET_OF_THE_SERVER}'}]"

    with pytest.raises(BadInputError, match="not available here") as caught:
        await box.invoke(f"{JOB}.apply", {"document": document})

    assert "hunter2" not in str(caught.value)


async def test_dates_at_both_ends_of_the_calendar_are_shown(box: Sandbox) -> None:
    job = await box.invoke(f"{JOB}.create", {**HOURLY, "end_date": "8999-12-30"})

    shown = await box.invoke(f"{JOB}.get-by-id", {"id": job["id"]})

    assert shown["end_date"] == "8999-12-30T00:00:00"


async def test_merges_of_merges_are_refused_or_stay_small(box: Sandbox) -> None:
    began = time.process_time()
    with contextlib.suppress(BadInputError):  # PyYAML itself keeps them small from 6.0.4 on
        await box.invoke(f"{JOB}.apply", {"document": MERGES})

    assert time.process_time() - began < 2
    assert await box.invoke(f"{JOB}.get-list") == []
