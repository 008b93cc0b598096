"""The jobs file: what a start refuses or skips, what ``check`` says of it, and its changes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from zato_lite.app import App, open_app
from zato_lite.check import check
from zato_lite.config import Scheduler, Server, Services, Settings, Store
from zato_lite.deploy.deployer import Deployer
from zato_lite.errors import ConfigError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.testing.app import sandbox
from zato_lite.timetable.calendar import Calendar

SETTINGS = Settings(
    server=Server(port=0),
    store=Store(url="sqlite:///:memory:"),
    services=Services(reload=False),
    scheduler=Scheduler(enabled=False),
)
SKIP = replace(SETTINGS, scheduler=Scheduler(enabled=False, jobs_file_errors="skip"))
WATCHED = replace(SKIP, services=Services(reload=True))
SERVICE = """
import msgspec
from zato_lite import Service

class Order(msgspec.Struct):
    count: int

class Plain(Service):
    async def handle(self): ...

class Typed(Service[Order, None]):
    async def handle(self): ...
"""
GOOD = "{{name: {}, service: jf-s.plain, job_type: interval_based, hours: 1}}"
WRONG = {
    "a service that is not deployed": ("service: jf-s.plan", "service"),
    "a job type that does not exist": ("job_type: cron", "job type [cron]; use one_time"),
    "a field that does not exist": ("lunar: 5", "lunar"),
    "a variable that is not set": ("extra: '${JF_UNSET}'", "extra"),
    "Zato's spelling of one": ("extra: Zato_Enmasse_Env.JF_UNSET", "extra"),
    "a calendar that does not exist": ("calendar: bank", "calendar"),
    "a callback service that is not deployed": ("on_error_service: none", "on_error_service"),
    "no period": ("hours: 0", "seconds"),
    "an input that is not the service's": ("service: jf-s.typed", "extra"),
    "an input with a wrong value": ("service: jf-s.typed; extra: {count: x}", "extra"),
}


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    before, path = {*sys.modules}, [*sys.path]
    yield
    sys.path[:] = path
    for name in {*sys.modules} - before:
        if name.startswith("jf_"):
            del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make(tmp_path)


def make(folder: Path) -> Path:
    (folder / "services").mkdir(parents=True)
    (folder / "config").mkdir()
    (folder / "services" / "jf_s.py").write_text(SERVICE)
    return folder


def write(project: Path, *jobs: str) -> None:
    lines = "".join(f"- {job}\n" for job in jobs)
    (project / "config" / "jobs.yaml").write_text(f"scheduler:\n{lines}")


def job(name: str, change: str = "") -> str:
    """Return a definition that ends in a change, in several lines."""
    fields = {"name": name, "service": "jf-s.plain", "job_type": "interval_based", "hours": 1}
    for text in filter(None, change.split("; ")):
        key, _, value = text.partition(": ")
        fields[key] = value
    return "\n  ".join(f"{key}: {value}" for key, value in fields.items())


async def names(app: App) -> list[str]:
    return [row.job.name for row in (await app.jobs.list())[0]]


@asynccontextmanager
async def opened(project: Path, chosen: Settings = SETTINGS) -> AsyncIterator[App]:
    async with open_app(project, chosen) as app:
        yield app


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds; the file is looked at by real time."""
    async with asyncio.timeout(10):
        while not await holds():  # noqa: ASYNC110 - a file announces nothing
            await asyncio.sleep(0.02)


def test_a_file_that_is_not_text_is_a_mistake(project: Path) -> None:
    (project / "config" / "jobs.yaml").write_bytes(b"scheduler: \xff")

    mistakes, _ = check(project)

    [mistake] = mistakes
    assert mistake.startswith(f"{project}/config/jobs.yaml: not text in UTF-8: ")


def test_a_job_without_a_name_is_found_by_its_line(project: Path) -> None:
    write(project, job("good"), "service: jf-s.plain")

    mistakes, _ = check(project)

    begin = f"{project}/config/jobs.yaml: line 6: a job without a name: Missing required input"
    assert mistakes == [f"{begin} element: {field}" for field in ("job_type", "name")]


@pytest.mark.parametrize(("change", "field"), WRONG.values(), ids=WRONG)
def test_check_reports_a_mistake_and_the_start_refuses_it(
    project: Path, change: str, field: str
) -> None:
    write(project, job("good"), job("wrong", change))

    mistakes, services = check(project)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(_open(project, SETTINGS))

    assert services == 2
    [mistake] = mistakes
    assert str(caught.value).splitlines() == mistakes
    assert field in mistake
    assert f"{project}/config/jobs.yaml: line " in mistake
    line = int(mistake.partition(": line ")[2].partition(":")[0])
    assert 6 <= line <= 11


async def _open(project: Path, chosen: Settings) -> tuple[list[str], tuple[str, ...]]:
    async with opened(project, chosen) as app:
        return await names(app), app.problems


@pytest.mark.parametrize(("change", "field"), WRONG.values(), ids=WRONG)
def test_a_start_that_skips_applies_the_others(project: Path, change: str, field: str) -> None:
    write(project, job("a"), job("wrong", change), job("z"))

    found, problems = asyncio.run(_open(project, SKIP))

    assert found == ["a", "z"]
    [problem] = problems
    assert field in problem


def test_all_mistakes_of_a_job_are_named_together(project: Path) -> None:
    change = "service: jf-s.plan; max_retries: -1; calendar: bank; on_error_service: none"
    write(project, job("mixed", f"{change}; allow_missing_services: perhaps"))

    [*mistakes], _ = check(project)

    text = "\n".join(mistakes)
    for part in (
        "line 3: mixed: service: Service `jf-s.plan`",
        "line 6: mixed: max_retries",
        "line 7: mixed: calendar",
        "line 8: mixed: on_error_service",
        "line 9: mixed: allow_missing_services",
    ):
        assert part in text
    assert len(mistakes) == 5


def test_the_right_line_is_named(project: Path) -> None:
    write(project, GOOD.format("a"), job("b", "timezone: Mars"), job("a"))

    mistakes, _ = check(project)

    assert [text.partition("jobs.yaml: ")[2][:8] for text in mistakes] == ["line 7: ", "line 8: "]


@pytest.mark.parametrize(
    "text",
    [
        "jobs:\n- {name: a}\n", "scheduler: [", "scheduler: []\nscheduler: []\n", "- 1", "text",
        "scheduler:\n- {name: a, name: b}\n", "scheduler: {}\nx: 1\n", "\udcff",
    ],
)  # fmt: skip
def test_a_document_that_is_wrong_as_a_whole_is_refused_with_its_name(
    project: Path, text: str
) -> None:
    data = text.encode("utf-8", "surrogateescape")
    (project / "config" / "jobs.yaml").write_bytes(data)

    mistakes, _ = check(project)
    with pytest.raises(ConfigError) as caught:
        asyncio.run(_open(project, SETTINGS))

    assert mistakes
    assert str(caught.value).splitlines() == mistakes
    assert all("config/jobs.yaml: " in mistake for mistake in mistakes)


def test_variables_have_their_values(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JF_EXTRA", "v")
    write(project, job("a", "extra: '${JF_EXTRA}'"), job("b", "extra: Zato_Enmasse_Env.JF_EXTRA"))

    async def extras() -> list[str | None]:
        async with opened(project) as app:
            return [row.job.extra for row in (await app.jobs.list())[0]]

    assert check(project) == ([], 2)
    assert asyncio.run(extras()) == ["v", "v"]


@pytest.mark.parametrize("text", ["", "# nothing\n", "scheduler:\n", "scheduler: []\n", None])
def test_a_file_without_jobs_has_no_mistakes(project: Path, text: str | None) -> None:
    if text is not None:
        (project / "config" / "jobs.yaml").write_text(text)

    assert check(project) == ([], 2)
    assert asyncio.run(_open(project, SETTINGS)) == ([], ())


def test_check_knows_the_calendars_and_jobs_of_the_store(project: Path) -> None:
    write(project, job("a", "calendar: bank"))
    stored = replace(SETTINGS, store=Store())

    async def save() -> None:
        async with open_app(project, replace(stored, scheduler=SKIP.scheduler)) as app:
            calendars = cast("Calendars", app.invoker.resources[Calendars])
            await calendars.save_calendar(Calendar(name="bank"))

    assert len(check(project)[0]) == 1
    assert not (project / "data").exists()
    asyncio.run(save())
    assert check(project)[0] == []
    assert asyncio.run(_open(project, stored)) == (["a"], ())


PLAIN = {"name": "a", "service": "jf-s.plain", "job_type": "interval_based", "hours": 1}
WRONG_FLAG = {**PLAIN, "allow_missing_services": "maybe"}
DEFINITIONS = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b", "c", "", "caf\u00e9", "x" * 201]),
        "service": st.sampled_from(["jf-s.plain", "jf-s.typed", "none", "zato.ping"]),
        "job_type": st.sampled_from(["interval_based", "cron_style", "one_time", "cron"]),
    },
    optional={
        "hours": st.sampled_from([1, "2", -1, "x", None]),
        "cron_definition": st.sampled_from(["@hourly", "@every 5m", "0 99 * * *", "* * *"]),
        "timezone": st.sampled_from(["UTC", "Europe/Warsaw", "Mars"]),
        "extra": st.sampled_from(
            ["x", {"count": 1}, ["count=1"], "${JF_SET}", "${JF_UNSET}", "Zato_Enmasse_Env.JF_SET"]
        ),
        "calendar": st.sampled_from(["none"]),
        "on_error_job": st.sampled_from(["a", "later"]),
        "start_date": st.sampled_from(["2027-01-01", "tomorrow", "2027-01-01T00:00:00+02:00"]),
        "lunar": st.just(1),
        "allow_missing_services": st.sampled_from([True, False, "maybe"]),
    },
)


@given(
    sections=st.fixed_dictionaries(
        {"scheduler": st.lists(DEFINITIONS, max_size=4)},
        optional={"jobs": st.just([]), "sql": st.just([{"name": "x"}]), "security": st.just([])},
    ),
    as_json=st.booleans(),
)
@settings(max_examples=25)
@example(sections={"scheduler": [WRONG_FLAG, PLAIN, PLAIN]}, as_json=True)
@example(sections={"scheduler": [PLAIN, WRONG_FLAG]}, as_json=False)
def test_check_and_serve_agree_on_any_file(
    tmp_path_factory: pytest.TempPathFactory, sections: dict[str, Any], as_json: bool
) -> None:
    os.environ["JF_SET"] = '{"count": 2}'
    project = make(tmp_path_factory.mktemp("project"))
    write_any(project, sections, as_json=as_json)

    mistakes, _ = check(project)
    refusal, found, problems = "", list[str](), tuple[str, ...]()
    try:
        found, problems = asyncio.run(_open(project, SETTINGS))
    except ConfigError as error:
        refusal = str(error)
    assert refusal.splitlines() == mistakes
    if not refusal:
        assert problems == ()
        assert found == sorted(each["name"] for each in sections["scheduler"])
    kept, skipped = asyncio.run(_open(project, SKIP))
    assert list(skipped) == mistakes
    assert bool(kept) or bool(mistakes) or not sections["scheduler"]
    sys.modules.pop("jf_s", None)


def write_any(project: Path, sections: dict[str, Any], *, as_json: bool) -> None:
    import json  # noqa: PLC0415

    import yaml  # noqa: PLC0415

    text = json.dumps(sections) if as_json else yaml.safe_dump(sections)
    (project / "config" / "jobs.yaml").write_text(text)


async def test_changes_of_the_file_are_applied_while_the_server_runs(project: Path) -> None:
    path = project / "config" / "jobs.yaml"

    async with opened(project, WATCHED) as app:

        async def has(*expected: str) -> bool:
            return await names(app) == [*expected]

        write(project, job("a"))
        await until(lambda: has("a"))
        part = path.with_suffix(".part")
        part.write_text(f"scheduler:\n- {GOOD.format('a')}\n- {GOOD.format('b')}\n")
        part.replace(path)
        await until(lambda: has("a", "b"))
        path.unlink()  # jobs outlive their definition
        await asyncio.sleep(0.5)
        assert await has("a", "b")
        write(project, job("c"))
        await until(lambda: has("a", "b", "c"))


async def test_a_wrong_change_is_skipped_shown_and_ends_when_it_is_mended(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, job("a"))

    async with opened(project, replace(WATCHED, scheduler=SETTINGS.scheduler)) as app:

        async def has_warning() -> bool:
            return bool(app.warnings())

        write(project, job("a", "hours: 2"), job("b", "lunar: 1"), job("c"))
        await until(has_warning)

        assert app.warnings() == {"jobs_file": "1 mistake, see the log"}
        assert await names(app) == ["a", "c"]
        [record] = [each for each in caplog.records if each.message == "jobs file mistake skipped"]
        assert "line 10: b: 'lunar' is not a known field" in vars(record)["why"]

        (project / "config" / "jobs.yaml").write_text("scheduler: [")
        await until(lambda: _contains(app, caplog, "not valid YAML"))
        assert await names(app) == ["a", "c"]

        write(project, job("b"))
        await until(lambda: _equals(app, ["a", "b", "c"]))
        assert app.warnings() == {}


async def _contains(app: App, caplog: pytest.LogCaptureFixture, text: str) -> bool:
    return bool(app.warnings()) and any(text in vars(it).get("why", "") for it in caplog.records)


async def _equals(app: App, expected: list[str]) -> bool:
    return await names(app) == expected


async def test_a_skipped_job_is_applied_once_its_service_is_deployed(project: Path) -> None:
    write(project, job("a"), job("late", "service: jf-late.late"), job("never", "service: none"))

    async with opened(project, SKIP) as app:
        [a] = (await app.jobs.list())[0]
        await app.jobs.pause(a.id, "by a user")
        assert len(app.problems) == 2

        text = (
            "from zato_lite import Service\nclass Late(Service):\n    async def handle(self): ..."
        )
        (project / "services" / "jf_late.py").write_text(text)
        await cast("Deployer", app.invoker.resources[Deployer]).refresh()

        await until(lambda: _equals(app, ["a", "late"]))
        assert app.warnings() == {"jobs_file": "1 mistake, see the log"}


async def test_what_a_user_changed_is_not_undone_by_a_second_try(project: Path) -> None:
    write(project, job("a"), job("late", "service: jf-late.late"))

    async with opened(project, SKIP) as app:
        [a] = (await app.jobs.list())[0]
        await app.jobs.edit(a.id, lambda it: replace(it, priority=5))
        (project / "services" / "jf_late.py").write_text(SERVICE.replace("Plain", "Late"))
        await cast("Deployer", app.invoker.resources[Deployer]).refresh()
        await until(lambda: _equals(app, ["a", "late"]))

        assert (await app.jobs.get(a.id)).job.priority == 5


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ("    async def handlee(self): ...", ", but `handlee`"),
        ("    async def Handle(self): ...", ", but `Handle`"),
        ("    async def run(self): ...", ""),
        ("    pass", ""),
    ],
)
def test_a_class_without_handle_is_a_mistake_with_its_line(
    project: Path, body: str, hint: str
) -> None:
    path = project / "services" / "jf_h.py"
    path.write_text(f"from zato_lite import Service\n\nclass Work(Service):\n{body}\n")

    mistakes, services = check(project)
    _, problems = asyncio.run(_open(project, SETTINGS))

    assert mistakes == [f"{path}: line 3: class Work has no method `handle`{hint}"]
    assert (list(problems), services) == (mistakes, 2)


@pytest.mark.parametrize(
    "text",
    [
        "class A(Service): ...\nclass B(A):\n    async def handle(self): ...",
        "class A(Service):\n    DONT_DEPLOY = True",
        "class A(Service):\n    async def handle_GET(self): ...",
        "class A(Service):\n    def handle(self): ...",
    ],
)
def test_bases_and_other_kinds_of_services_are_accepted(project: Path, text: str) -> None:
    (project / "services" / "jf_h.py").write_text(f"from zato_lite import Service\n{text}\n")

    assert check(project)[0] == []


async def test_a_sandbox_refuses_a_wrong_file_and_knows_its_own_services(project: Path) -> None:
    from zato_lite import Service  # noqa: PLC0415

    class Fake(Service):
        name = "jf.fake"

        async def handle(self) -> None: ...

    write(project, job("a", "service: jf.fake"))
    async with sandbox(Fake, project=project) as box:
        assert await names(box.app) == ["a"]
    with pytest.raises(ConfigError, match=r"line 3: a: service: Service `jf\.fake`"):
        async with sandbox(project=project):
            pass


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[server.mounts]\n'/x' = {app = 'no_such:app'}", "cannot be imported"),
        ("[server.mounts]\n'/zato' = {app = 'os:sep'}", "not a valid path"),
        ("[server.channels]\n'nonsense' = 'a'", "not a valid REST channel"),
        ("[store]\nurl = 'mysql://x'", "is not known; use sqlite:///"),
        ("[server]\nport = 99999", "port"),
    ],
)
def test_check_finds_what_else_a_start_refuses(project: Path, text: str, words: str) -> None:
    (project / "config" / "zato-lite.toml").write_text(text)

    mistakes, _ = check(project)

    assert len(mistakes) == 1
    assert words in mistakes[0]


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("every(hours=1)", "extra: not a valid input of jf-d.typed"),
        ("every(hours=1, extra={'count': 'x'})", "extra: not a valid input of jf-d.typed"),
        ("every(hours=1, extra={'count': 1})", ""),
    ],
)
def test_a_declared_schedule_has_an_input_that_its_service_can_read(
    project: Path, schedule: str, words: str
) -> None:
    text = SERVICE.replace("class Plain", "class Unused").replace(
        "import Service", "import Service, every"
    )
    head = "class Typed(Service[Order, None]):"
    text = text.replace(head, f"{head}\n    schedule = {schedule}")
    (project / "services" / "jf_d.py").write_text(text)

    mistakes, _ = check(project)
    found, problems = asyncio.run(_open(project, SETTINGS))

    assert mistakes == list(problems)
    assert bool(mistakes) is bool(words)
    assert words in "".join(mistakes)
    assert found == ([] if words else ["jf-d.typed"])
