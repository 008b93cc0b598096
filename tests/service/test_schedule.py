from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from typing import Any

import pytest

from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.payload import payload_of
from zato_lite.service.registry import Registry

NOON = 1_796_126_400_000_000  # 2026-12-01T12:00:00Z


class StoppedClock:
    def now(self) -> int:
        return NOON

    def monotonic(self) -> float:
        return 0.0

    def call_at(self, instant: int, wake: Any) -> Any:
        raise NotImplementedError


class Create(Service):
    """Keeps what it is asked for where the scheduler would make a job of it."""

    name = "zato.scheduler.job.create"

    async def handle(self) -> None:
        asked.append(self.request.payload)
        self.response.payload = {"id": 7, "name": self.request.payload["name"]}


asked: list[dict[str, Any]] = []


class Target(Service):
    name = "my.target"

    async def handle(self) -> None: ...


class Scheduling(Service):
    name = "my.scheduling"
    options: dict[str, Any]

    async def handle(self) -> Any:
        return await self.schedule.onetime(self, Target, **self.request.payload)


class BlockingScheduling(Service):
    name = "my.blocking"

    def handle(self) -> Any:
        return self.schedule.onetime(self, "my.target", **self.request.payload)


async def scheduled(service: str, **options: Any) -> dict[str, Any]:
    asked.clear()
    registry = Registry()
    for cls in (Create, Target, Scheduling, BlockingScheduling):
        registry.add(cls)
    invoker = Invoker(registry, clock=StoppedClock())
    outcome = await invoker.run(Invocation(service, options, cid="c1"))
    assert outcome.payload == 7, outcome.error
    return asked[0]


@pytest.mark.parametrize("service", ["my.scheduling", "my.blocking"])
async def test_a_one_time_job_is_created_through_the_scheduler_s_service(service: str) -> None:
    request = await scheduled(
        service, prefix="ann@example.com", start_date="2027-07-29 11:35:49", data={"my.key": 1}
    )

    assert payload_of(request.pop("extra")) == {"my.key": 1}
    assert request == {
        "cluster_id": 1,
        "name": f"ann@example.com {service} -> my.target 2026-12-01T12:00:00+00:00 c1",
        "is_active": True,
        "job_type": "one_time",
        "service": "my.target",
        "start_date": "2027-07-29 11:35:49",
    }


@pytest.mark.parametrize(
    ("options", "start"),
    [
        ({}, "2026-12-01T12:00:00+00:00"),
        ({"after_seconds": 90}, "2026-12-01T12:01:30+00:00"),
        ({"after_seconds": 30, "after_minutes": 2}, "2026-12-01T12:02:30+00:00"),
        ({"start_date": datetime(2027, 1, 1)}, "2027-01-01T00:00:00+00:00"),  # noqa: DTZ001
        ({"start_date": datetime(2027, 1, 1, tzinfo=UTC)}, "2027-01-01T00:00:00+00:00"),
        (
            {"start_date": datetime(2027, 1, 1, tzinfo=timezone(timedelta(hours=2)))},
            "2026-12-31T22:00:00+00:00",
        ),
    ],
)
async def test_a_job_starts_at_the_given_time(options: dict[str, Any], start: str) -> None:
    assert (await scheduled("my.scheduling", **options))["start_date"] == start


async def test_a_job_may_have_a_name_and_no_data() -> None:
    request = await scheduled("my.scheduling", name="my-job")

    assert request["name"] == "my-job"
    assert "extra" not in request


class Remembers(Service):
    """Stands for the scheduler's other services."""

    async def handle(self) -> Any:
        asked.append(self.request.payload)
        return {"called": self.get_name()}


async def managed(body: Any) -> Any:
    asked.clear()
    registry = Registry()
    registry.add(Create)
    registry.add(Target)
    for ending in ("get-by-id", "get-by-name", "get-list", "delete"):
        name = f"zato.scheduler.job.{ending}"
        registry.add(type("Remembers", (Remembers,), {"name": name}))

    class Manages(Service):
        name = "manages"

        async def handle(self) -> Any:
            return await body(self.schedule)

    registry.add(Manages)
    return await Invoker(registry, clock=StoppedClock()).invoke("manages")


async def test_an_interval_is_created() -> None:
    job_id = await managed(
        lambda schedule: schedule.interval(Target, "often", minutes=5, repeats=3, data=0)
    )

    assert job_id == 7
    assert payload_of(asked[0]["extra"]) == 0
    assert asked[0] | {"extra": ""} == {
        "cluster_id": 1,
        "is_active": True,
        "name": "often",
        "job_type": "interval_based",
        "service": "my.target",
        "start_date": "2026-12-01T12:00:00+00:00",
        "weeks": 0,
        "days": 0,
        "hours": 0,
        "minutes": 5,
        "seconds": 0,
        "repeats": 3,
        "extra": "",
    }


async def test_a_cron_job_is_created() -> None:
    await managed(
        lambda schedule: schedule.cron("my.target", "daily", "@daily", timezone="Europe/Warsaw")
    )

    assert asked[0]["job_type"] == "cron_style"
    assert (asked[0]["cron_definition"], asked[0]["timezone"]) == ("@daily", "Europe/Warsaw")


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.onetime("my.target", name="a"),
        lambda it: it.onetime(Target, "a"),
        lambda it: it.onetime(service=Target, name="a"),
        lambda it: it.onetime(Target(), Target, "a"),
        lambda it: it.onetime(Target(), "my.target", name="a"),
        lambda it: it.onetime(Target, Target, "a"),
        lambda it: it.onetime(invoking_service=Target(), target_service=Target, name="a"),
        lambda it: it.interval(Target, "a", minutes=5),
        lambda it: it.interval("my.target", name="a", every="5 min"),
        lambda it: it.interval(service=Target, name="a", seconds=1.5),
        lambda it: it.cron(Target, "@daily", name="a"),
        lambda it: it.cron(Target, "a", "@daily"),
        lambda it: it.cron(Target, "a", cron_definition="@daily"),
        lambda it: it.cron(cron_definition="@daily", name="a", service=Target),
    ],
    ids=map(str, count()),
)
async def test_the_service_comes_first_by_its_name_or_class(call: Any) -> None:
    assert await managed(call) == 7

    assert (asked[0]["service"], asked[0]["name"]) == ("my.target", "a")
    assert asked[0].get("cron_definition", "@daily") == "@daily"


CALLER_FIRST = "the first argument is the service to run, not the one that schedules it"


NEEDED = "arguments are missing or too many"
INTERVAL = "write self.schedule.interval({!r}, name=…, minutes=…)"
CRON = "write self.schedule.cron('crm.sync', '0 6 * * *', name=…)"
ONETIME = "write self.schedule.onetime('the.service', …) or self.schedule.onetime(self, Target, …)"


@pytest.mark.parametrize(
    ("method", "args", "options", "message"),
    [
        ("interval", (Target(), "crm.sync"), {"minutes": 5},
         f"interval: {CALLER_FIRST}; {INTERVAL.format('crm.sync')}"),
        ("interval", (Target(), Target), {"name": "sync", "minutes": 5},
         f"interval: {CALLER_FIRST}; {INTERVAL.format('my.target')}"),
        ("interval", (), {"service": Target(), "name": "sync", "minutes": 5},
         f"interval: {CALLER_FIRST}; {INTERVAL.format('my.target')}"),
        ("cron", (Target(), "crm.sync", "@daily"), {}, f"cron: {CALLER_FIRST}; {CRON}"),
        ("cron", (Target(), "crm.sync", "daily", "@daily"), {}, f"cron: {CALLER_FIRST}; {CRON}"),
        ("interval", ("crm.sync",), {"minutes": 5},
         f"interval: {NEEDED}; {INTERVAL.format('crm.sync')}"),
        ("interval", ("crm.sync", "a"), {"name": "b", "minutes": 5},
         f"interval: {NEEDED}; {INTERVAL.format('crm.sync')}"),
        ("cron", ("crm.sync", "@daily"), {}, f"cron: {NEEDED}; {CRON}"),
        ("onetime", (Target(),), {"after_minutes": 5},
         f"onetime: the service to run is missing; {ONETIME}"),
        ("onetime", ("crm.sync", "a"), {"name": "b"},
         f"onetime: too many services or names given; {ONETIME}"),
        ("onetime", ("crm.sync",), {"service": "b"},
         f"onetime: too many services or names given; {ONETIME}"),
        ("onetime", (5,), {}, "service 5 is not known; use a service's name or class"),
        ("interval", (int, "a"), {"minutes": 5},
         "service <class 'int'> is not known; use a service's name or class"),
        ("interval", (Target, "a"), {"minutes": 5, "data": 1, "extra": "x"},
         "data and extra given, but not both allowed"),
        ("edit", ("a",), {"data": 1, "extra": "x"}, "data and extra given, but not both allowed"),
        ("pause", (None,), {}, "a job's id or name expected, not NoneType"),
        ("get", (True,), {}, "a job's id or name expected, not bool"),
        ("why", ({"id": 7}, "2027-01-01"), {}, "a job's id or name expected, not dict"),
    ],
    ids=map(str, count()),
)  # fmt: skip
async def test_a_call_that_may_mean_something_else_is_refused_with_the_line_to_write(
    method: str, args: tuple[Any, ...], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError) as error:
        await managed(lambda schedule: getattr(schedule, method)(*args, **options))

    assert str(error.value) == message
    assert asked == []


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda it: it.interval("manages", "my.target", minutes=5),
            "interval('my.target', name=…, minutes=…)",
        ),
        (
            lambda it: it.cron("manages", "@daily", name="my.target"),
            "cron('my.target', '0 6 * * *', name=…)",
        ),
        (lambda it: it.onetime("manages", "my.target"), "onetime('my.target', after_minutes=…)"),
    ],
    ids=["interval", "cron", "onetime"],
)
async def test_a_job_that_would_run_its_maker_under_another_service_s_name_is_refused(
    call: Any, line: str
) -> None:
    with pytest.raises(ValueError, match=r"^job name 'my.target' is the name of a serv") as error:
        await managed(call)

    assert f"the job would run 'manages'; write self.schedule.{line}, or use" in str(error.value)
    assert asked == []


async def test_a_service_may_schedule_itself_under_its_own_or_a_free_name() -> None:
    assert await managed(lambda it: it.interval("manages", "manages", minutes=5)) == 7
    assert await managed(lambda it: it.interval("manages", "free", minutes=5)) == 7
    assert await managed(lambda it: it.interval("another", "my.target", minutes=5)) == 7


async def test_one_time_jobs_of_one_instant_have_different_names_of_200_characters_at_most() -> (
    None
):
    async def three(schedule: Any) -> int:
        for prefix in ("", "", "long " * 60):
            await schedule.onetime("my.target", prefix=prefix)
        return 7

    await managed(three)

    names = [each["name"] for each in asked]
    assert len({*names}) == 3
    assert len(names[2]) == 200
    assert names[2].startswith("long long")


@pytest.mark.parametrize(
    ("zone", "start"),
    [("Europe/Warsaw", "2027-07-01T08:00:00"), (None, "2027-07-01T08:00:00+00:00")],
)
async def test_a_date_without_an_offset_is_in_the_job_s_zone(zone: str | None, start: str) -> None:
    day = datetime(2027, 7, 1, 8)  # noqa: DTZ001
    await managed(lambda it: it.interval(Target, "a", days=1, start_date=day, timezone=zone))

    assert asked[0]["start_date"] == start


async def test_fields_may_be_services_and_dates() -> None:
    await managed(
        lambda it: it.interval(
            Target, "a", days=1, on_error_service=Target, end_date=datetime(2027, 7, 1, tzinfo=UTC)
        )
    )

    assert asked[0]["on_error_service"] == "my.target"
    assert asked[0]["end_date"] == "2027-07-01T00:00:00+00:00"


async def test_jobs_are_read_and_cancelled() -> None:
    assert (await managed(lambda it: it.get(7)))["called"] == "zato.scheduler.job.get-by-id"
    assert asked == [{"cluster_id": 1, "id": 7}]
    assert (await managed(lambda it: it.get("a")))["called"] == "zato.scheduler.job.get-by-name"
    assert asked == [{"cluster_id": 1, "name": "a"}]
    assert (await managed(lambda it: it.list("a b")))["called"] == "zato.scheduler.job.get-list"
    assert asked == [{"cluster_id": 1, "query": "a b"}]
    assert await managed(lambda it: it.cancel(7)) is None
    assert asked == [{"id": 7}]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("July 29 2027 11:35", "2027-07-29T11:35:00+00:00"),
        ("Thu, 29 Jul 2027 11:35:49 GMT", "2027-07-29T11:35:49+00:00"),
        ("29 July 2027 11:35 +0200", "2027-07-29T09:35:00+00:00"),
        ("29.07.2027 11:35", "2027-07-29T11:35:00+00:00"),
    ],
)
async def test_a_date_in_words_is_accepted_if_it_is_unambiguous(text: str, moment: str) -> None:
    assert (await scheduled("my.scheduling", start_date=text))["start_date"] == moment


@pytest.mark.parametrize(
    "text",
    ["01/02/2027 10:00", "27/07/29", "July 2027", "11:35", "tomorrow", "29 July 2027 11:35 EST",
     "2027-07-29T11:35:49Z", "2027-07-29 11:35:49"],
)  # fmt: skip
async def test_an_ambiguous_date_is_passed_to_the_scheduler_unchanged(text: str) -> None:
    assert (await scheduled("my.scheduling", start_date=text))["start_date"] == text
