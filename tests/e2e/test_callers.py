"""Users and keys over real HTTP: created, used, confined, deleted."""

import base64
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.process import Server

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("callers")
    server = Server(folder)
    server.start()
    yield server
    server.kill()


def _ask(server: Server, service: str, **headers: str) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("POST", f"/zato/api/invoke/{service}", "{}", headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


def _basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


def test_a_key_gives_access_to_its_services_until_it_is_deleted(server: Server) -> None:
    made = server.invoke("zato.security.key.create", {"patterns": ["demo.*"]})
    key = {"X-API-Key": made["key"]}

    assert _ask(server, "demo.ping", **key)[0] == 200
    assert _ask(server, "zato.scheduler.job.get-list", **key) == (200, [])
    assert _ask(server, "zato.scheduler.status", **key)[0] == 403
    assert _ask(server, "helpers.echo", **key)[0] == 403
    server.invoke("zato.security.key.delete", {"name": made["name"]})
    assert _ask(server, "demo.ping", **key)[0] == 401


def test_a_change_of_a_users_rights_has_immediate_effect(server: Server) -> None:
    ann = _basic("ann", "long enough")
    user = {"name": "ann", "password": "long enough", "roles": ["viewer"]}

    assert _ask(server, "zato.scheduler.job.get-list", **ann)[0] == 401
    server.invoke("zato.security.user.create", user)
    assert _ask(server, "zato.scheduler.job.get-list", **ann)[0] == 200
    assert _ask(server, "zato.scheduler.job.create", **ann)[0] == 403
    server.invoke("zato.security.user.edit", {"name": "ann", "roles": ["editor"]})
    assert _ask(server, "zato.scheduler.job.create", **ann)[0] == 400
    assert _ask(server, "zato.security.user.get-list", **ann)[0] == 403
    server.invoke("zato.security.user.edit", {"name": "ann", "password": "another one"})
    assert _ask(server, "demo.ping", **ann)[0] == 401
    assert _ask(server, "demo.ping", **_basic("ann", "another one"))[0] == 200

    who = {(line["who"], line["outcome"][:3]) for line in server.invoke("zato.audit.get-list")}
    assert ("ann", "403") in who
    assert ("admin.invoke", "ok") in who
