import base64
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from zato_lite.builtin import demo, helpers, ping, services
from zato_lite.clock import Clock
from zato_lite.deploy.deployer import Deployer
from zato_lite.errors import (
    BadInputError,
    ForbiddenError,
    NotFoundError,
    ServiceMissingError,
    UnavailableError,
)
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Caller
from zato_lite.service.payload import plain
from zato_lite.service.registry import Registry
from zato_lite.store.audit import AuditLog
from zato_lite.store.sqlite import SqliteStore
from zato_lite.testing.clock import ManualClock

FILE = "from zato_lite import Service\nclass A(Service):\n    async def handle(self): return 1\n"

ANN = Caller("ann", frozenset({"operator"}))


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    path = [*sys.path]
    yield
    sys.path[:] = path
    sys.modules.pop("up_file", None)


@pytest.fixture
def deployer(tmp_path: Path) -> Deployer:
    folder = tmp_path / "services"
    folder.mkdir()
    return Deployer(Registry(), folder, accepts_uploads=True)


@pytest.fixture
def invoker(deployer: Deployer) -> Invoker:
    registry = deployer._registry
    for module in (demo, helpers, ping, services):
        for value in vars(module).values():
            if isinstance(value, type) and "handle" in dir(value) and value.__dict__.get("name"):
                registry.add(value, is_internal=True)
    resources = {
        Deployer: deployer,
        Clock: ManualClock(),
        JobCommands: NoJobs(),
        AuditLog: AuditLog(SqliteStore(":memory:")),  # the server's own changes are not recorded
    }
    return Invoker(registry, resources=resources)


class NoJobs:
    """Jobs of an application that has none."""

    async def list(self, **filters: Any) -> tuple[list[Any], int]:
        return [], 0


async def test_services_are_listed_by_name(invoker: Invoker) -> None:
    found = await invoker.invoke("zato.service.get-list", {"query": "DEMO ping"})

    assert [item.name for item in found] == ["demo.ping"]
    assert found[0].is_internal
    assert await invoker.invoke("zato.service.get-list", {"is_internal": False}) == []
    everything = await invoker.invoke("zato.service.get-list")
    assert len(everything) == len(invoker.registry)


async def test_a_service_is_described(invoker: Invoker) -> None:
    await invoker.invoke("zato.service.is-deployed", {"name": "demo.ping"})
    found = await invoker.invoke("zato.service.get-by-name", {"name": "zato.service.is-deployed"})

    assert found.usage == 1
    assert found.average_ms >= 0
    assert found.description == "Return True if a service of this name is deployed."
    assert "name" in plain(found)["input_schema"]["$defs"]["ServiceRef"]["properties"]
    by_id = await invoker.invoke("zato.service.get-by-name", {"id": found.id})
    assert by_id.name == found.name
    with pytest.raises(NotFoundError):
        await invoker.invoke("zato.service.get-by-name", {"id": 1})


@pytest.mark.parametrize(("name", "is_deployed"), [("demo.ping", True), ("nothing", False)])
async def test_is_deployed_answers_by_name(invoker: Invoker, name: str, is_deployed: bool) -> None:
    found = await invoker.invoke("zato.service.is-deployed", {"name": name})

    assert found.is_deployed is is_deployed


async def test_a_service_can_be_made_inactive(invoker: Invoker) -> None:
    await invoker.invoke("zato.service.edit", {"name": "demo.ping", "is_active": False})

    assert not invoker.registry.get("demo.ping").is_active


async def test_a_service_is_invoked_by_name_if_the_caller_may(invoker: Invoker) -> None:
    asked = {"name": "demo.echo", "payload": [1]}
    assert await invoker.invoke("zato.service.invoke", asked, caller=ANN) == [1]

    with pytest.raises(ForbiddenError, match="user 'ann' is not allowed to invoke"):
        await invoker.invoke("zato.service.invoke", {"name": "zato.hot-deploy.create"}, caller=ANN)
    with pytest.raises(ServiceMissingError):
        await invoker.invoke("zato.service.invoke", {"name": "nothing"}, caller=ANN)


@pytest.mark.parametrize("limit", [-1, -3.4e38, 1e9])
async def test_a_timeout_that_is_not_a_duration_is_refused(invoker: Invoker, limit: float) -> None:
    with pytest.raises(BadInputError) as caught:
        await invoker.invoke("zato.service.invoke", {"name": "demo.echo", "timeout": limit})

    assert [error.field for error in caught.value.errors] == ["timeout"]
    no_limit = {"name": "demo.echo", "payload": 1, "timeout": 0}
    assert await invoker.invoke("zato.service.invoke", no_limit) == 1


async def test_a_file_can_be_uploaded(invoker: Invoker, deployer: Deployer) -> None:
    data = base64.b64encode(FILE.encode()).decode()
    asked = {"payload_name": "up_file.py", "payload": data}

    assert await invoker.invoke("zato.hot-deploy.create", asked) == {"is_deployed": True}
    assert await invoker.invoke("up-file.a") == 1
    files = await invoker.invoke("zato.service.get-deployment-info-list")
    assert [(item.services, item.is_ok) for item in files] == [(("up-file.a",), True)]

    for name in ("x" * 300 + ".py", "a\0.py", "a\udcff.py", "a\n.py", "a\x1b[2J.py"):
        with pytest.raises(BadInputError, match="not a valid file name"):
            await deployer.upload(name, b"x = 1")
    (deployer.folder / "folder.py").mkdir()
    with pytest.raises(UnavailableError, match=r"folder\.py cannot be written"):
        await deployer.upload("folder.py", b"x = 1")

    deployer.accepts_uploads = False
    for request in (asked, {}):
        with pytest.raises(ForbiddenError, match="does not accept uploads"):
            await invoker.invoke("zato.hot-deploy.create", request)


async def test_an_upload_without_a_file_checks_that_files_are_accepted(invoker: Invoker) -> None:
    assert await invoker.invoke("zato.hot-deploy.create", {}) == {"is_deployed": False}


@pytest.mark.parametrize("missing", ["payload_name", "payload"])
async def test_half_an_upload_is_refused(invoker: Invoker, missing: str) -> None:
    asked = {"payload_name": "a.py", "payload": ""}
    del asked[missing]

    with pytest.raises(BadInputError) as caught:
        await invoker.invoke("zato.hot-deploy.create", asked)

    assert [error.field for error in caught.value.errors] == [missing]


@pytest.mark.parametrize("name", ["../up.py", "/etc/up.py", "up.txt", ".up.py", "a/b.py", ""])
async def test_an_upload_cannot_leave_the_folder(invoker: Invoker, name: str) -> None:
    with pytest.raises((BadInputError, ForbiddenError)):
        await invoker.invoke("zato.hot-deploy.create", {"payload_name": name, "payload": ""})


async def test_a_broken_upload_is_refused_with_its_error(invoker: Invoker) -> None:
    data = base64.b64encode(b"class :").decode()

    asked = {"payload_name": "up_file.py", "payload": data}
    answer = await invoker.invoke("zato.hot-deploy.create", asked)
    assert (answer["is_deployed"], answer["error"][:11]) == (False, "SyntaxError")
    files = await invoker.invoke("zato.service.get-deployment-info-list")
    assert files[0].error.startswith("SyntaxError")
    with pytest.raises(BadInputError, match="not base64"):
        await invoker.invoke("zato.hot-deploy.create", {"payload_name": "a.py", "payload": "*"})


@pytest.mark.parametrize("name", ["zato.helpers.echo", "helpers.echo"])
async def test_an_echo_returns_its_payload(invoker: Invoker, name: str) -> None:
    assert await invoker.invoke(name, {"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("zato.helpers.input-logger", "{'a': 1}"),
        ("pub.helpers.input-logger", "{'a': 1}"),
        ("zato.helpers.raw-request-logger", "Received request: `{'a': 1}`"),
    ],
)
async def test_loggers_log_their_payload(
    invoker: Invoker, caplog: pytest.LogCaptureFixture, name: str, line: str
) -> None:
    caplog.set_level(logging.INFO)
    payload: Any = {"a": 1}

    await invoker.invoke(name, payload)

    assert caplog.messages == [line]
