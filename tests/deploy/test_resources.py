import asyncio
import base64
import gc
import re
import sys
import textwrap
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, assert_type

import pytest

from zato_lite.check import check
from zato_lite.config import Server, Services, Settings, Store
from zato_lite.deploy import deployer
from zato_lite.deploy.deployer import Deployer
from zato_lite.errors import ConfigError, InvocationError, UnavailableError
from zato_lite.http.message import Request
from zato_lite.log import invocation_context
from zato_lite.server import open_edge
from zato_lite.service.base import Service
from zato_lite.service.containment import contain_tasks
from zato_lite.service.message import Invocation
from zato_lite.service.middleware import Call
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry
from zato_lite.testing.app import Sandbox, sandbox

POOL = """
    from collections.abc import AsyncIterator
    from zato_lite import resource

    VERSION = {version}

    class Pool:
        def __init__(self, url): self.url, self.version, self.is_open = url, VERSION, True

    @resource
    async def pool(config) -> AsyncIterator["Pool"]:
        print("open", VERSION, flush=True)
        found = Pool(config.get("url"))
        yield found
        found.is_open = False
        print("close", VERSION, flush=True)
"""
REPORT = """
    from res_types import Pool
    from zato_lite import Service, needs

    class Report(Service):
        pool = needs(Pool)
        async def handle(self):
            return [self.pool.version, self.pool.url]
"""
TYPES = """
    class Pool:
        def __init__(self, version, url=""):
            self.version, self.url, self.is_open = version, url, True
            self.gate = None
    class Repo:
        def __init__(self, pool): self.pool = pool
    LOG = []
"""
SHARED_POOL = """
    from collections.abc import AsyncIterator
    from res_types import LOG, Pool
    from zato_lite import resource

    @resource
    async def pool(config) -> AsyncIterator[Pool]:
        LOG.append("open {version}")
        found = Pool({version}, config.get("url"))
        yield found
        found.is_open = False
        LOG.append("close {version}")
"""

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = tmp_path / "services" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


@asynccontextmanager
async def opened(folder: Path, **user: Any) -> AsyncIterator[Sandbox]:
    settings = Settings(
        store=Store("sqlite:///:memory:"),
        server=Server(grace=0.0),
        services=Services(reload=False),
        user=user,
    )
    async with sandbox(project=folder, settings=settings) as app:
        yield app


def deployer_of(app: Sandbox) -> Deployer:
    found: Deployer = app.app.invoker.resources[Deployer]
    return found


async def log_of(app: Sandbox) -> list[str]:
    found: list[str] = [*await app.invoke("res-log.log")]
    return found


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    path = [*sys.path]
    yield
    sys.path[:] = path
    for name in [name for name in sys.modules if name.startswith("res_")]:
        del sys.modules[name]


@pytest.fixture(autouse=True)
def types(write: Write) -> None:
    write("res_types.py", TYPES)
    write(
        "res_log.py",
        """
        from res_types import LOG
        from zato_lite import Service
        class Log(Service):
            async def handle(self): return LOG
        """,
    )


async def test_a_service_gets_a_resource_that_was_opened_with_the_users_settings(
    write: Write, tmp_path: Path
) -> None:
    write("res_pool.py", SHARED_POOL.format(version=1))
    write("res_report.py", REPORT)

    async with opened(tmp_path, url="db://x") as app:
        assert await app.invoke("res-report.report") == [1, "db://x"]
        log = app.app.invoker.registry.entries["res-log.log"]
        lines = await app.invoke("res-log.log")
        assert lines == ["open 1"]
    assert lines == ["open 1", "close 1"]
    assert log.calls == 1


async def test_a_resource_that_no_service_needs_is_not_opened(
    write: Write, tmp_path: Path
) -> None:
    write("res_pool.py", SHARED_POOL.format(version=1))

    async with opened(tmp_path) as app:
        assert await log_of(app) == []


async def test_resources_are_opened_in_order_of_need_and_closed_in_the_other(
    write: Write, tmp_path: Path
) -> None:
    write(
        "res_a_repo.py",
        """
        from collections.abc import Iterator
        from res_types import LOG, Pool, Repo
        from zato_lite import Service, needs, resource

        @resource
        def repo(pool: Pool) -> Iterator[Repo]:
            LOG.append("open repo")
            yield Repo(pool)
            LOG.append("close repo")

        class Ask(Service):
            repo = needs(Repo)
            def handle(self):
                return self.repo.pool.version
        """,
    )
    write("res_pool.py", SHARED_POOL.format(version=1))

    async with opened(tmp_path) as app:
        assert await app.invoke("res-a-repo.ask") == 1
        lines = await app.invoke("res-log.log")

    assert lines == ["open 1", "open repo", "close repo", "close 1"]


async def test_a_replaced_resource_is_closed_after_the_last_invocation_with_it(
    write: Write, tmp_path: Path
) -> None:
    pool = write("res_pool.py", SHARED_POOL.format(version=1))
    write(
        "res_slow.py",
        """
        import asyncio
        from res_types import Pool
        from zato_lite import Service, needs

        STARTED, GO = [], asyncio.Event()

        class Slow(Service):
            pool = needs(Pool)
            async def handle(self):
                first = self.pool
                STARTED.append(first)
                await GO.wait()
                return [first.is_open, self.pool is first]

        class Go(Service):
            async def handle(self):
                GO.set()

        class Version(Service):
            pool = needs(Pool)
            async def handle(self):
                return self.pool.version
        """,
    )
    async with opened(tmp_path) as app:
        slow = asyncio.create_task(app.invoke("res-slow.slow"))
        await asyncio.sleep(0)
        pool.write_text(textwrap.dedent(SHARED_POOL.format(version=2)))
        await deployer_of(app).refresh([pool])

        assert await app.invoke("res-slow.version") == 2
        await asyncio.sleep(0.1)
        assert await log_of(app) == ["open 1", "open 2"]

        await app.invoke("res-slow.go")
        assert await slow == [True, True]
        await deployer_of(app).resources.drained()
        assert app.app.invoker.registry.entries["res-slow.version"].calls == 1


async def test_an_abandoned_thread_keeps_its_resource(write: Write, tmp_path: Path) -> None:
    pool = write("res_pool.py", SHARED_POOL.format(version=1))
    write(
        "res_block.py",
        """
        import threading
        from res_types import Pool
        from zato_lite import Service, needs

        GO, SEEN = threading.Event(), []

        class Block(Service):
            pool = needs(Pool)
            def handle(self):
                found = self.pool
                GO.wait()
                SEEN.append(found.is_open)

        class Go(Service):
            async def handle(self):
                GO.set()
                return SEEN
        """,
    )
    async with opened(tmp_path) as app:
        with pytest.raises(TimeoutError):
            await app.app.invoker.invoke("res-block.block", timeout=0.05)
        await deployer_of(app).refresh([pool])
        await asyncio.sleep(0.1)

        seen = await app.invoke("res-block.go")
        await deployer_of(app).resources.drained()
        assert seen == [True]


async def test_only_services_whose_resource_does_not_open_are_left_out_and_tried_again(
    write: Write, tmp_path: Path
) -> None:
    write(
        "res_db.py",
        """
        from collections.abc import AsyncIterator
        from pathlib import Path
        from res_types import Pool
        from zato_lite import Service, needs, resource

        @resource
        async def pool(config) -> AsyncIterator[Pool]:
            if not Path(config.path).exists():
                raise OSError("no database")
            yield Pool(1)

        class Report(Service):
            pool = needs(Pool)
            async def handle(self): return self.pool.version

        class Plain(Service):
            async def handle(self): return "plain"
        """,
    )
    database = tmp_path / "database"
    async with opened(tmp_path, path=str(database)) as app:
        assert await app.invoke("res-db.plain") == "plain"
        assert app.app.problems == (
            f"{tmp_path}/services/res_db.py: line 10: resource pool: OSError: no database",
        )
        with pytest.raises(UnavailableError, match=r"resource pool \(services/res_db.py:7\) is"):
            await app.invoke("res-db.report")
        status = next(each for each in deployer_of(app).status() if "res_db" in each.source)
        assert status.services == ("res-db.plain",)
        assert app.app.warnings()["resources"] == "faults in 1 file, see the log"

        database.touch()
        await deployer_of(app).reopen()

        assert await app.invoke("res-db.report") == 1
        assert deployer_of(app).resources.faults == {}


async def test_a_new_version_that_does_not_open_leaves_the_old_one_in_use(
    write: Write, tmp_path: Path
) -> None:
    pool = write("res_pool.py", SHARED_POOL.format(version=1))
    write("res_report.py", REPORT)
    async with opened(tmp_path) as app:
        broken = SHARED_POOL.format(version=2).replace("found = Pool", "1 / 0; found = Pool")
        pool.write_text(textwrap.dedent(broken))
        await deployer_of(app).refresh([pool])

        assert await app.invoke("res-report.report") == [1, None]
        assert "ZeroDivisionError" in deployer_of(app).resources.faults[pool].message

        pool.write_text(textwrap.dedent(SHARED_POOL.format(version=3)))
        await deployer_of(app).refresh([pool])

        assert await app.invoke("res-report.report") == [3, None]
        assert deployer_of(app).resources.faults == {}


async def test_a_resource_whose_file_is_deleted_stays_in_use_and_is_reported(
    write: Write, tmp_path: Path
) -> None:
    pool = write("res_pool.py", SHARED_POOL.format(version=1))
    report = write("res_report.py", REPORT)
    async with opened(tmp_path) as app:
        pool.unlink()
        await deployer_of(app).refresh()

        assert await app.invoke("res-report.report") == [1, None]
        fault = deployer_of(app).resources.faults[report]
        assert fault.message == "line 6: Report.pool: no @resource yields res_types.Pool"


FAILING = """
    import asyncio
    from collections.abc import AsyncIterator
    from pathlib import Path
    from res_types import LOG, Pool
    from zato_lite import Service, needs, resource

    async def listen(failure):
        await failure.wait()
        raise OSError("connection lost")

    @resource
    async def pool(config) -> AsyncIterator[Pool]:
        if Path(config.path).exists():
            raise OSError("no database")
        failure = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(listen(failure))
            LOG.append("open")
            yield Pool(len(LOG), failure)
            listening.cancel()

    class Report(Service):
        pool = needs(Pool)
        async def handle(self): return self.pool.version

    class Fail(Service):
        pool = needs(Pool)
        async def handle(self): self.pool.url.set()
"""


async def test_a_resource_that_ends_while_it_is_in_use_is_opened_again(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deployer, "REOPEN_S", 0.0)
    write("res_fail.py", FAILING)
    database = tmp_path / "offline"
    async with opened(tmp_path, path=str(database)) as app:
        changed, listeners = asyncio.Event(), deployer_of(app).on_change
        listeners.append(lambda _: changed.set())
        await app.invoke("res-fail.fail")
        async with asyncio.timeout(10):
            await changed.wait()
        assert await app.invoke("res-fail.report") == 2
        assert "resource failed" in caplog.messages

        database.touch()
        changed.clear()
        await app.invoke("res-fail.fail")
        async with asyncio.timeout(10):
            await changed.wait()
        with pytest.raises(UnavailableError, match=r"resource pool .* is not open"):
            await app.invoke("res-fail.report")

        database.unlink()
        await deployer_of(app).reopen()
        assert await app.invoke("res-fail.report") == 3
        assert app.app.registry.get("res-fail.fail").in_flight == 0


async def test_a_resource_that_cannot_be_opened_again_is_announced(
    write: Write, tmp_path: Path
) -> None:
    write(
        "res_pool.py", SHARED_POOL.format(version=1).replace("found =", "len(config.url); found =")
    )
    write("res_report.py", REPORT)
    async with opened(tmp_path, url="a") as app:
        heard: list[object] = []
        deployer_of(app).on_change.append(heard.append)
        app.app.invoker.replace_config({})
        for _ in range(2):
            await deployer_of(app).reopen()

        assert await app.invoke("res-report.report") == [1, "a"]
        assert len(heard) == 1  # so that it is tried again later


async def test_a_service_that_deploys_can_give_an_opening_up(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    contain_tasks(asyncio.get_running_loop())
    text = SHARED_POOL.format(version=1).replace("found =", "await hang(); found =")
    hang = "\n    import asyncio\n    async def hang(): await asyncio.Event().wait()\n"
    pool = write("res_pool.py", hang + text)
    write("res_report.py", REPORT)
    registry = Registry()
    deploying = Deployer(registry, tmp_path / "services", aside=0.02)
    token = invocation_context.set(Invocation("upload"))
    await deploying.refresh()
    pool.write_text(textwrap.dedent(SHARED_POOL.format(version=2)))
    await deploying.refresh()
    await deploying.settled()
    invocation_context.reset(token)

    async with asyncio.timeout(5):
        await deploying.resources.drained()
    assert "res-report.report" in registry
    assert "resource abandoned" not in caplog.messages
    await deploying.resources.close()
    deploying.close()


MIDDLEWARE = """
    import asyncio
    from res_types import LOG, Pool
    from zato_lite import needs

    class Pooled:
        pool = needs(Pool)
        def __init__(self): self.calls = 0
        async def __call__(self, call):
            self.calls += 1
            first = self.pool
            answer = await call.next()
            assert self.pool is first and first.is_open, "another pool"
            return [self.pool.version, self.calls, answer]

    middleware = [Pooled()]
"""
ASKED = """
    import asyncio
    from zato_lite import Service

    class Ask(Service):
        async def handle(self):
            if self.request.payload == "wait":
                self.config.began.set()
                await self.config.go_on.wait()
            return "asked"

    class Block(Service):
        def handle(self): return "blocked"

    class Outer(Service):
        async def handle(self): return await self.invoke("res-ask.ask")
"""


async def test_middleware_has_resources_and_keeps_them_during_an_invocation(
    write: Write, tmp_path: Path
) -> None:
    write("res_pool.py", SHARED_POOL.format(version=1))
    write("__init__.py", MIDDLEWARE)
    write("res_ask.py", ASKED)
    async with opened(tmp_path) as app:
        began, go_on = asyncio.Event(), asyncio.Event()
        app.app.invoker.replace_config({"began": began, "go_on": go_on})
        assert await app.invoke("res-ask.ask") == [1, 1, "asked"]
        assert await app.invoke("res-ask.block") == [1, 2, "blocked"]
        assert await app.invoke("res-ask.outer") == [1, 4, [1, 4, "asked"]]

        waiting = asyncio.create_task(app.invoke("res-ask.ask", "wait"))
        await began.wait()
        write("res_pool.py", SHARED_POOL.format(version=2))
        await deployer_of(app).refresh()
        assert (await app.invoke("res-ask.ask"))[0] == 2
        go_on.set()
        assert (await waiting)[0] == 1
        await deployer_of(app).resources.drained()

        log = app.app.registry.get("res-log.log").cls  # it is surrounded, too
        assert (await app.invoke(log))[2] == ["open 1", "open 2", "close 1"]


async def test_services_wait_for_a_slow_resource_of_their_middleware_as_for_their_own(
    write: Write, tmp_path: Path
) -> None:
    slow = SHARED_POOL.format(version=1).replace("found =", "await asyncio.sleep(0.1); found =")
    write("res_pool.py", f"\n    import asyncio{slow}")
    registry = Registry()
    deploying = Deployer(registry, tmp_path / "services", aside=0.02)
    await deploying.deploy()
    write("__init__.py", MIDDLEWARE)
    write("res_ask.py", ASKED)
    await deploying.refresh()
    await deploying.settled()

    assert "res-ask.ask" in registry.entries
    assert deploying.resources.faults == {}
    await deploying.resources.close()
    deploying.close()


async def test_services_wait_for_the_resources_of_their_middleware(
    write: Write, tmp_path: Path
) -> None:
    write("res_ask.py", ASKED)
    init = write("__init__.py", MIDDLEWARE)

    mistakes, _ = await asyncio.to_thread(check, tmp_path)
    place = "__init__.py, line 7: Ask.Pooled.pool: no @resource yields res_types.Pool"
    assert any(f"res_ask.py: {place}" in each for each in mistakes)
    async with opened(tmp_path) as app:
        with pytest.raises(UnavailableError, match=r"no @resource yields res_types\.Pool"):
            await app.invoke("res-ask.ask")

        write("res_pool.py", SHARED_POOL.format(version=1))
        await deployer_of(app).refresh()
        assert await app.invoke("res-ask.ask") == [1, 1, "asked"]

        init.unlink()
        await deployer_of(app).refresh()
        await deployer_of(app).resources.drained()
        assert await app.invoke("res-ask.ask") == "asked"
        assert await log_of(app) == ["open 1", "close 1"]  # no service needs it any more


async def test_the_middleware_of_a_class_has_the_resources_of_a_test() -> None:
    class Pool: ...

    class Pooled:
        pool = needs(Pool)

        async def __call__(self, call: Call) -> Any:
            assert_type(self.pool, Pool)
            return [self.pool, await call.invoke("ask.number"), await call.next()]

    class Base(Pooled):
        """A derived class needs it, too."""

    class Number(Service):
        name = "ask.number"

        async def handle(self) -> int:
            return 7

    class Ask(Service):
        name = "ask.ask"
        middleware = (Base(),)

        async def handle(self) -> str:
            return "asked"

    found = Pool()
    async with sandbox(Ask, Number, resources={Pool: found}) as app:
        assert await app.invoke("ask.ask") == [found, 7, "asked"]
    with pytest.raises(
        InvocationError, match=r"Base\.pool is available during an invocation only"
    ):
        _ = Base().pool


async def test_a_file_with_its_own_type_is_deployed_again_with_it(
    write: Write, tmp_path: Path
) -> None:
    text = POOL + textwrap.indent(
        "from zato_lite import Service, needs\n"
        "class Get(Service):\n"
        "    pool = needs(Pool)\n"
        "    async def handle(self): return [self.pool.version, self.pool.is_open]\n",
        "    ",
    )
    own = write("res_own.py", text.format(version=1))
    async with opened(tmp_path) as app:
        assert await app.invoke("res-own.get") == [1, True]
        first = weakref.ref(app.app.registry.get("res-own.get").cls)
        for version in (2, 3):  # the module of the version before the present one is kept
            own.write_text(textwrap.dedent(text.format(version=version)))
            await deployer_of(app).refresh([own])
            assert await app.invoke("res-own.get") == [version, True]
        await deployer_of(app).resources.drained()
        gc.collect()
        assert first() is None


async def test_changed_settings_open_the_resources_that_take_them(
    write: Write, tmp_path: Path
) -> None:
    write("res_pool.py", SHARED_POOL.format(version=1))
    write("res_report.py", REPORT)
    async with opened(tmp_path, url="a") as app:
        app.app.invoker.replace_config({"url": "b"})
        await deployer_of(app).reopen()
        await deployer_of(app).reopen()

        assert await app.invoke("res-report.report") == [1, "b"]
        await deployer_of(app).resources.drained()
        assert await log_of(app) == ["open 1", "open 1", "close 1"]


async def test_resources_of_one_type_are_asked_for_by_name(write: Write, tmp_path: Path) -> None:
    write(
        "res_two.py",
        """
        from collections.abc import AsyncIterator
        from typing import Annotated
        from res_types import Pool, Repo
        from zato_lite import Service, needs, resource

        @resource
        async def main() -> AsyncIterator[Pool]: yield Pool(1)

        @resource(name="archive")
        async def second() -> AsyncIterator[Pool]: yield Pool(2)

        @resource
        async def repo(pool: Annotated[Pool, "archive"]) -> AsyncIterator[Repo]: yield Repo(pool)

        class Both(Service):
            first = needs(Pool, name="main")
            second = needs(Pool, name="archive")
            repo = needs(Repo)
            async def handle(self):
                return [self.first.version, self.second.version, self.repo.pool.version]
        """,
    )
    async with opened(tmp_path) as app:
        assert await app.invoke("res-two.both") == [1, 2, 2]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pool = needs(Repo)", r"line 16: Bad.pool: no @resource yields res_types.Repo; those"),
        (
            "pool = needs(Pool)",
            r"line 16: Bad.pool: resource one \(.*res_bad.py:6\) and .* both yield res_types.Pool",
        ),
        ('pool = needs(Pool, name="x")', r"no @resource yields res_types.Pool named 'x'; there"),
        ("pool = needs(dict)", r"line 12: resource circle: .*: no @resource yields|→"),
    ],
)
async def test_faults_are_found_without_opening(
    write: Write, tmp_path: Path, text: str, fault: str
) -> None:
    write(
        "res_bad.py",
        f"""
        from collections.abc import AsyncIterator
        from res_types import Pool, Repo
        from zato_lite import Service, needs, resource

        @resource
        async def one() -> AsyncIterator[Pool]: yield 1 / 0

        @resource
        async def two() -> AsyncIterator[Pool]: yield 1 / 0

        @resource
        async def circle(own: dict) -> AsyncIterator[dict]: yield own

        class Bad(Service):
            {text}
            async def handle(self): ...
        """,
    )
    mistakes, _ = await asyncio.to_thread(check, tmp_path)

    assert any(re.search(fault, line) for line in mistakes), mistakes
    assert sum("circle" in line and "→" in line for line in mistakes) == 1


@pytest.mark.parametrize(
    ("definition", "fault"),
    [
        ("async def x() -> int: return 1", "not a generator function"),
        ("def x(): yield 1", "has no type; annotate it with -> Iterator"),
        ("def x() -> 'Iterator[Nothing]': yield 1", "name 'Nothing' is not defined"),
        ("def x(other) -> Iterator[int]: yield 1", "parameter 'other' has no type"),
    ],
)
async def test_a_definition_that_is_not_valid_is_the_files_fault(
    write: Write, tmp_path: Path, definition: str, fault: str
) -> None:
    write(
        "res_wrong.py",
        f"""
        from collections.abc import Iterator
        from zato_lite import resource
        @resource
        {definition}
        """,
    )
    async with opened(tmp_path) as app:
        assert len(app.app.problems) == 1
        assert "line 4: resource x" in app.app.problems[0]
        assert fault in app.app.problems[0]


async def test_tests_replace_resources(write: Write, tmp_path: Path) -> None:
    class Fake:
        version, url = 7, "fake"

    class Own(Service):
        fake = needs(Fake)

        async def handle(self) -> int:
            return self.fake.version

    async with sandbox(Own, resources={Fake: Fake()}) as app:
        assert await app.invoke(Own) == 7
    with pytest.raises(ConfigError, match=r"needs .*Fake, not provided"):
        async with sandbox(Own):
            pass


@pytest.mark.parametrize("name", ["", "pool"])
async def test_a_replaced_resource_of_a_project_is_not_opened(
    write: Write, tmp_path: Path, name: str
) -> None:
    write("res_pool.py", SHARED_POOL.format(version=1).replace("LOG.append", "raise OSError"))
    write("res_report.py", REPORT.replace("needs(Pool)", f"needs(Pool, name={name!r})"))
    sys.path.append(str(tmp_path / "services"))
    pool = import_module("res_types").Pool  # deployment imports the file again

    resources = {(pool, name) if name else pool: pool(9)}
    async with sandbox(project=tmp_path, resources=resources) as app:
        assert app.app.problems == ()
        assert await app.invoke("res-report.report") == [9, ""]


async def test_a_slow_resource_does_not_keep_other_files_waiting(
    write: Write, tmp_path: Path
) -> None:
    folder = tmp_path / "services"
    write(
        "res_plain.py",
        "from zato_lite import Service\nclass P(Service):\n    async def handle(self): return 1\n",
    )
    write(
        "res_slow_open.py",
        """
        import asyncio
        from collections.abc import AsyncIterator
        from res_types import Pool
        from zato_lite import Service, needs, resource

        @resource
        async def pool() -> AsyncIterator[Pool]:
            await asyncio.sleep(0.3)
            yield Pool(1)

        class Q(Service):
            pool = needs(Pool)
            async def handle(self): return self.pool.version
        """,
    )
    registry = Registry()
    deployer = Deployer(registry, folder, aside=0.05)

    await deployer.refresh()
    assert "res-plain.p" in registry.entries
    assert "res-slow-open.q" not in registry.entries
    await deployer.settled()
    assert "res-slow-open.q" in registry.entries
    await deployer.resources.close()
    deployer.close()


async def test_a_resource_that_takes_too_long_is_given_up(write: Write, tmp_path: Path) -> None:
    write(
        "res_never.py",
        """
        import asyncio
        from collections.abc import AsyncIterator
        from res_types import Pool
        from zato_lite import Service, needs, resource

        @resource
        async def pool() -> AsyncIterator[Pool]:
            await asyncio.Event().wait()
            yield Pool(1)

        class Q(Service):
            pool = needs(Pool)
            async def handle(self): ...
        """,
    )
    registry = Registry()
    deployer = Deployer(registry, tmp_path / "services", aside=0.02, patience=0.2)

    await deployer.deploy()

    (fault,) = deployer.resources.faults.values()
    assert fault.message == "line 9: resource pool: TimeoutError: did not open within 0.2 s"
    deployer.close()


async def test_readiness_asks_resources(write: Write, tmp_path: Path) -> None:
    write(
        "res_ready.py",
        """
        from collections.abc import AsyncIterator
        from res_types import Pool
        from zato_lite import Service, needs, resource

        async def ready(pool):
            if pool.version == 2: raise OSError("connection lost")
            return pool.version == 1 or "no"

        @resource(ready=ready)
        async def pool() -> AsyncIterator[Pool]: yield Pool(1)

        class Set(Service):
            pool = needs(Pool)
            async def handle(self): self.pool.version = self.request.payload
        """,
    )
    async with opened(tmp_path) as app:
        await app.app.scheduler.tick()
        assert "resource pool" not in await app.app.is_ready()
        await app.invoke("res-ready.set", 3)
        assert (await app.app.is_ready())["resource pool"] == "no"
        await app.invoke("res-ready.set", 2)
        assert (await app.app.is_ready())["resource pool"] == "connection lost"


async def test_services_are_invoked_at_the_start_and_at_the_stop(
    write: Write, tmp_path: Path
) -> None:
    write("res_pool.py", SHARED_POOL.format(version=1))
    write(
        "res_moments.py",
        """
        from res_types import LOG, Pool
        from zato_lite import Service, needs, on_start, on_stop

        @on_start
        class Warm(Service):
            pool = needs(Pool)
            async def handle(self): LOG.append(f"start {self.channel.type} {self.pool.version}")

        @on_stop
        class Flush(Service):
            pool = needs(Pool)
            def handle(self): LOG.append(f"stop {self.channel.type} {self.pool.is_open}")

        class Heir(Warm):
            async def handle(self): LOG.append("never")

        @on_start
        class Bad(Service):
            async def handle(self): 1 / 0
        """,
    )
    async with opened(tmp_path) as app:
        lines, services = await app.invoke("res-log.log"), tmp_path / "services"
        assert app.app.problems == (
            f"{services}/res_moments.py: res-moments.bad: ZeroDivisionError('division by zero')",
        )

    assert lines == ["open 1", "start startup 1", "stop shutdown True", "close 1"]


async def test_a_service_for_the_start_that_is_deployed_later_is_invoked_once(
    write: Write, tmp_path: Path
) -> None:
    async with opened(tmp_path) as app:
        heard = asyncio.Event()
        app.app.invoker.replace_config({"heard": heard})
        moments = """
            from zato_lite import Service, needs, on_start
            from res_types import LOG, Pool
            @on_start
            class Warm(Service):
                pool = needs(Pool)
                async def handle(self):
                    LOG.append("version {}")
                    self.config.heard.set()
        """
        write("res_later.py", moments.format(1))
        await deployer_of(app).refresh()
        assert "res-later.warm" not in app.app.registry.entries  # it waits for a resource

        write("res_pool.py", SHARED_POOL.format(version=1))
        await deployer_of(app).refresh()
        async with asyncio.timeout(10):
            await heard.wait()
        write("res_later.py", moments.format(2))
        await deployer_of(app).refresh()
        heard.clear()
        write("res_other.py", moments.format(3))
        await deployer_of(app).refresh()
        async with asyncio.timeout(10):
            await heard.wait()

        assert await app.invoke("res-log.log") == ["open 1", "version 1", "version 3"]


async def test_check_invokes_no_service_for_the_start(write: Write, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    write(
        "res_start.py",
        f"""
        from pathlib import Path
        from zato_lite import Service, on_start
        @on_start
        class Warm(Service):
            async def handle(self): Path({str(mark)!r}).touch()
        """,
    )

    assert await asyncio.to_thread(check, tmp_path) == ([], 2)
    assert not mark.exists()


async def test_a_job_may_be_declared_for_a_service_that_waits(
    write: Write, tmp_path: Path
) -> None:
    write("res_pool.py", SHARED_POOL.format(version=1).replace("LOG.append", "raise OSError"))
    write(
        "res_jobs.py",
        """
        from res_types import Pool
        from zato_lite import Service, every, needs
        class Sync(Service):
            schedule = every(minutes=5)
            pool = needs(Pool)
            async def handle(self): ...
        """,
    )
    async with opened(tmp_path) as app:
        assert [row.job.is_active for row in await app.app.jobs.declared()] == [True]


async def test_the_channel_of_a_service_that_waits_says_why(write: Write, tmp_path: Path) -> None:
    write("res_pool.py", SHARED_POOL.format(version=1).replace("LOG.append", "raise OSError"))
    write("res_rest.py", REPORT.replace("pool =", 'rest = "GET /report"\n        pool ='))

    async with (
        opened(tmp_path) as app,
        open_edge(app.app, {"ZATO_LITE_ADMIN_PASSWORD": "password-one"}) as http,
    ):
        credentials = base64.b64encode(b"admin.invoke:password-one")
        headers = {b"authorization": b"Basic " + credentials, b"host": b"localhost"}
        response = await http(Request("GET", "/report", b"", headers))

    assert response.status == 503
    assert b"resource pool (services/res_pool.py:6) is not open" in response.body


async def test_reasons_of_resources_have_no_secrets(write: Write, tmp_path: Path) -> None:
    pool = SHARED_POOL.replace(
        'LOG.append("open {version}")', 'raise OSError("no answer, password=geheim")'
    )
    write("res_pool.py", pool.format(version=1))
    write("res_report.py", REPORT)

    async with opened(tmp_path) as app:
        assert "no answer, password=***" in app.app.problems[0]
        assert "geheim" not in str(app.app.problems)
