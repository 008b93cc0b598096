"""Declarations of services in a project, and how mistakes in them are reported."""

import asyncio
import base64
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from zato_lite.app import App, open_app
from zato_lite.check import check
from zato_lite.config import Server, Services, Settings, Store
from zato_lite.deploy.deployer import Deployer
from zato_lite.http.server import Server as Listening
from zato_lite.scheduler.calendars import Calendars
from zato_lite.server import open_server
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.calendar import Calendar

SERVICE = """
from zato_lite import Service, cron, every

class A(Service):
    {}
    async def handle(self):
        return {!r}
"""
SETTINGS = Settings(
    server=Server(port=0, channels={"GET /ours": "zato.ping"}),
    store=Store(url="sqlite:///:memory:"),
    services=Services(reload=False),
)


ENVIRON = {"ZATO_LITE_ADMIN_PASSWORD": "not-a-secret"}
BASIC = base64.b64encode(b"admin.invoke:not-a-secret").decode()


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    before, path = {*sys.modules}, [*sys.path]
    yield
    sys.path[:] = path
    for name in {*sys.modules} - before:
        if name.startswith("app_"):
            del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "services").mkdir()
    return tmp_path


def write(project: Path, name: str, declared: str, answer: object = None) -> Path:
    path = project / "services" / f"{name}.py"
    path.write_text(SERVICE.format(declared, answer))
    return path


@asynccontextmanager
async def opened(project: Path) -> AsyncIterator[tuple[App, Deployer]]:
    async with open_app(project, SETTINGS, ManualClock()) as app:
        yield app, cast("Deployer", app.invoker.resources[Deployer])


async def ask(server: Listening, path: str) -> str | None:
    """Return the body of a GET response with status 200."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Basic {BASIC}\r\n\r\n".encode()
    )
    head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
    writer.close()
    return body if head.startswith("HTTP/1.1 200 ") else None


WRONG = {
    "app_b": ("rest = 'nonsense'", "not a valid REST channel: 'nonsense'"),
    "app_c": ("rest = 5", "rest must be a text or a list of texts: 5"),
    "app_d": ("rest = 'GET /s/{b}'", "Channel `GET /s/{}` already exists, in "),
    "app_e": ("rest = 'GET /ours'", "already exists, in [server] channels"),
    "app_f": ("rest = ['/x/{a}', '/x/{b}']", "Channel `* /x/{}` is declared twice in "),
    "app_g": ("schedule = every(minutes=5, timezone='X/Y')", "X/Y"),
    "app_h": ("schedule = cron('0 99 * * *')", "99"),
    "app_i": ("schedule = every(minutes=1, name='good')", "Job `good` already exists, in "),
    "app_j": ("schedule = '0 2 * * *'", "write `schedule = cron(…)` or `every(…)`"),
    "app_k": ("schedule = [every(minutes=1), every(minutes=2)]", "is not one; write `schedule"),
    "app_l": ("rest = 'GETT /l'", "unknown method 'GETT'; did you mean GET?"),
    "app_m": ("rest = 'FLY /m'", "unknown method 'FLY'; use one such as GET, or * for any"),
    "app_n": ("input = 5", "class A: Type '5' is not supported"),
    "app_o": ("handle_GET = 5", "class A: handle_GET 5 is not a method"),
    "app_p": ("def handle_POST(this, more): ...", "handle_POST takes `self` only"),
    "app_q": ("async def handle_PUT(): ...", "handle_PUT takes `self` only"),
    "app_r": ("schedule = every('often')", "every: 'often' is not allowed; a duration such as"),
}


async def test_a_wrong_declaration_affects_only_its_file(project: Path) -> None:
    good = "rest = 'GET /s/{a}'\n    schedule = every(seconds=1, name='good')"
    write(project, "app_a", good, "a")
    for name, (declared, _) in WRONG.items():
        write(project, name, declared)

    async with opened(project) as (app, deployer), open_server(app, environ=ENVIRON) as server:
        status = {Path(it.source).stem: it.failure for it in deployer.status()}
        jobs = [row.job.name for row in (await app.jobs.list())[0]]
        answers = [await ask(server, path) for path in ("/s/1", "/ours", "/x/1")]

    assert [name for name, failure in status.items() if failure is None] == ["app_a"]
    for name, (_, words) in WRONG.items():
        failure = status[name]
        assert failure is not None
        assert words in failure.message
        assert any(name in problem and words in problem for problem in app.problems)
    assert jobs == ["good"]
    assert answers == ["a", '{"pong":"zato"}', None]


def test_check_reports_the_same_mistakes(project: Path) -> None:
    write(project, "app_a", "rest = 'GET /s/{a}'\n    schedule = every(seconds=1, name='good')")
    for name, (declared, _) in WRONG.items():
        write(project, name, declared)
    write(project, "app_z", "schedule = every(minutes=1, on_error_service='no.such')")

    mistakes, services = check(project)

    for name, (_, words) in {**WRONG, "app_z": ("", "'no.such' is not deployed")}.items():
        if name != "app_e":  # the settings are others here
            assert any(name in mistake and words in mistake for mistake in mistakes)
    assert services == 3


def test_the_mistakes_of_all_classes_of_a_file_are_reported_together(project: Path) -> None:
    text = write(project, "app_a", "rest = 'nonsense'").read_text()
    classes = [text.replace("class A", f"class {name}") for name in ("A", "B", "C")]
    good = classes[2].replace("nonsense", "/c")
    (project / "services" / "app_a.py").write_text(f"{classes[0]}\n{classes[1]}\n{good}")

    [mistake], services = check(project)

    assert [f"class {name}: not a valid" in mistake for name in ("A", "B", "C")] == [
        True, True, False
    ]  # fmt: skip
    assert services == 0


@pytest.mark.parametrize("wrong", ["rest = 'nonsense'", "schedule = every(minutes='x')"])
async def test_a_new_version_that_declares_wrongly_is_not_swapped_in(
    project: Path, wrong: str
) -> None:
    path = write(project, "app_a", "rest = 'GET /a'\n    schedule = every(hours=1)", "old")

    async with opened(project) as (app, deployer), open_server(app, environ=ENVIRON) as server:
        write(project, "app_a", wrong, "new")
        await deployer.refresh()

        assert await ask(server, "/a") == "old"
        assert await app.invoker.invoke("app-a.a") == "old"
        [row] = (await app.jobs.list())[0]
        assert row.job.is_active
        assert deployer.status()[0].failure is not None

        write(project, "app_a", "rest = 'GET /b'", "newer")
        write(project, "app_b", "rest = 'GET /a'", "takes over")
        await deployer.refresh([path])

        assert deployer.failures == {}
        assert await ask(server, "/a") == "takes over"


async def test_a_job_waits_for_a_calendar_that_does_not_exist_yet(project: Path) -> None:
    path = write(project, "app_a", "schedule = every(hours=1, calendar='bank')")
    write(project, "app_b", "schedule = every(hours=1)")

    async with opened(project) as (app, deployer):
        assert await app.invoker.invoke("app-a.a") is None
        assert [row.job.name for row in (await app.jobs.list())[0]] == ["app-b.a"]
        remark = deployer.status()[0].failure
        assert remark is not None
        assert "calendar: 'bank' does not exist" in remark.message

        calendars = cast("Calendars", app.invoker.resources[Calendars])
        await calendars.save_calendar(Calendar(name="bank"))
        await deployer.refresh([path])

        async with asyncio.timeout(10):
            while deployer.status()[0].failure is not None:
                assert (await app.jobs.list())[1] < 3
        assert [row.job.name for row in (await app.jobs.list())[0]] == ["app-a.a", "app-b.a"]


async def test_a_missing_callback_service_is_reported_and_the_job_created(
    project: Path,
) -> None:
    write(project, "app_a", "schedule = every(hours=1, on_success_service='no.such')")

    async with opened(project) as (app, deployer):
        remark = deployer.status()[0].failure
        assert remark is not None
        assert "on_success_service: service 'no.such' is not deployed" in remark.message
        assert [row.job.name for row in (await app.jobs.list())[0]] == ["app-a.a"]
