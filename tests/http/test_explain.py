"""Errors of services: explained to admins of a development server, found by cid elsewhere."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from zato_lite.config import Server, Settings, Store
from zato_lite.http.message import Request
from zato_lite.server import open_edge
from zato_lite.store.accounts import Credential
from zato_lite.testing.app import sandbox

SERVICE = """
import json
from zato.server.service import Service as Zato
from zato_lite import Service

def divide(a, b):
    return a / b

class Bad(Service):
    async def handle(self):
        return divide(1, 0)

class Library(Service):
    async def handle(self):
        return json.loads("{")

class Secret(Service):
    async def handle(self):
        raise OSError("password=hunter2")

class Wrong(Service[None, int]):
    async def handle(self):
        return "x"

class Odd(Service):
    async def handle(self):
        return object()

class Odder(Service):
    async def handle(self):
        return [object()] * 10_000

class Status(Service):
    async def handle(self):
        self.response.status_code = "201"
        return "ok"

class Streamed(Service):
    async def handle(self):
        self.response.status_code = 999
        yield "ok"

class Forgotten(Service):
    async def handle(self):
        return self.invoke("exp.bad")

class Lacking(Zato):
    def handle(self):
        self.sms.send()
"""


async def ask(folder: Path, service: str, *, dev: bool, user: str = "admin.invoke") -> Any:
    (folder / "services").mkdir(exist_ok=True)
    (folder / "services" / "exp.py").write_text(SERVICE)
    settings = Settings(store=Store("sqlite:///:memory:"), server=Server(grace=0.0, dev=dev))
    environ = {"ZATO_LITE_ADMIN_PASSWORD": "password-one"}
    async with (
        sandbox(project=folder, settings=settings) as app,
        open_edge(app.app, environ) as http,
    ):
        admin = await app.app.accounts.find("user", "admin.invoke")
        assert admin is not None
        await app.app.accounts.save(
            Credential("user", "ann", admin.hash, frozenset({"editor"}), ())
        )
        credentials = base64.b64encode(f"{user}:password-one".encode())
        headers = {b"authorization": b"Basic " + credentials, b"host": b"localhost"}
        path = f"/zato/api/invoke/exp.{service}"
        response = await http(Request("POST", path, b"", headers))
    return response.status, json.loads(response.body)


async def test_an_admin_of_a_development_server_sees_the_error(tmp_path: Path) -> None:
    status, body = await ask(tmp_path, "bad", dev=True)

    assert status == 500
    assert body["details"] == "ZeroDivisionError: division by zero (services/exp.py:7)"
    assert body["error"]["type"] == "builtins.ZeroDivisionError"
    assert (body["error"]["file"], body["error"]["line"]) == ("services/exp.py", 7)
    assert body["error"]["frames"] == [
        "services/exp.py:7 in divide: return a / b",
        "services/exp.py:11 in handle: return divide(1, 0)",
    ]


async def test_frames_of_the_project_come_before_those_of_libraries(tmp_path: Path) -> None:
    _, body = await ask(tmp_path, "library", dev=True)

    frames = body["error"]["frames"]
    assert frames[0] == 'services/exp.py:15 in handle: return json.loads("{")'
    assert "json/decoder.py" in frames[1]
    assert body["error"]["line"] == 15


@pytest.mark.parametrize("service", ["odd", "odder"])
async def test_an_answer_that_json_cannot_hold_is_an_error_of_the_service(
    tmp_path: Path, service: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, body = await ask(tmp_path, service, dev=True)

    assert status == 500
    assert body["details"].startswith("TypeError: answer cannot be written as JSON: ")
    assert "object" in body["details"]
    logged = [record for record in caplog.records if record.message == "service failed"]
    assert [vars(record)["service"] for record in logged] == [f"exp.{service}"]


async def test_secrets_are_hidden_from_the_admin_too(tmp_path: Path) -> None:
    _, body = await ask(tmp_path, "secret", dev=True)

    assert "hunter2" not in json.dumps(body)


@pytest.mark.parametrize(("dev", "user"), [(True, "ann"), (False, "admin.invoke")])
async def test_all_others_get_the_cid_and_the_command_that_finds_it(
    tmp_path: Path, dev: bool, user: str
) -> None:
    status, body = await ask(tmp_path, "bad", dev=dev, user=user)

    assert status == 500
    cid = body["cid"]
    assert body == {
        "result": "Error",
        "cid": cid,
        "details": "An error has occurred",
        "hint": f"zato-lite log {cid}",
    }


async def test_a_feature_that_is_not_offered_is_named_to_every_caller(tmp_path: Path) -> None:
    status, body = await ask(tmp_path, "lacking", dev=False, user="ann")

    assert status == 501
    assert body["details"].startswith("self.sms is Zato's SMS connections, not in zato-lite; use")


async def test_an_answer_of_the_wrong_type_names_the_service_and_no_file_of_the_framework(
    tmp_path: Path,
) -> None:
    _, answer = await ask(tmp_path, "wrong", dev=True)

    text = (
        "service exp.wrong: answer does not match the declared output: Expected `int`, got `str`"
    )
    assert answer["details"] == f"InvocationError: {text}"
    assert (answer["error"]["file"], answer["error"]["line"]) == ("", None)


@pytest.mark.parametrize(
    ("service", "details"),
    [
        ("status", "response.status_code '201' is not valid; use a number from 200 to 599"),
        ("streamed", "response.status_code 999 is not valid; use a number from 200 to 599"),
        ("forgotten", "is not JSON serializable: coroutine; is an `await` missing?"),
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
async def test_an_answer_that_cannot_be_sent_is_an_error_with_its_reason(
    tmp_path: Path, service: str, details: str
) -> None:
    status, answer = await ask(tmp_path, service, dev=True)

    assert status == 500
    assert answer["details"].endswith(details)


async def test_elsewhere_an_invalid_status_is_an_unexpected_error(tmp_path: Path) -> None:
    status, answer = await ask(tmp_path, "status", dev=False)

    assert (status, answer["details"]) == (500, "An error has occurred")
    assert answer["hint"].startswith("zato-lite log ")
