"""REST channels and credentials in the jobs file."""

import asyncio
import base64
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from msgspec.structs import replace

from tests.outgoing.upstream import serving
from zato_lite.app import open_app
from zato_lite.check import check
from zato_lite.config import Scheduler, Server, Services, Settings, Store
from zato_lite.errors import ConfigError, ConflictError
from zato_lite.http.server import Server as Listening
from zato_lite.outgoing_config import Outgoing, Rest, Smtp
from zato_lite.server import open_server

SETTINGS = Settings(
    server=Server(port=0, channels={"GET /configured": "zato.ping"}),
    store=Store(url="sqlite:///:memory:"),
    services=Services(reload=False),
    scheduler=Scheduler(enabled=False),
)
ENVIRON = {"ZATO_LITE_ADMIN_PASSWORD": "not-a-secret"}
SERVICE = """
from zato_lite import Service

class One(Service):
    rest = "GET /own/{id}"
    async def handle(self): self.response.payload = {"one": self.request.input}

class Two(Service):
    async def handle(self): self.response.payload = "two"
"""
FILE = """\
security:
  - {name: partner, type: basic_auth, username: partner.user, password: "${FS_PASSWORD}"}
  - name: machine
    type: apikey
    username: ignored
    password: Zato_Enmasse_Env.FS_KEY
  - {name: nobody, type: basic_auth, username: nobody.user, password: another-secret}
  - {name: other, type: oauth, password: x}
channel_rest:
  - name: customers
    service: fs-s.one
    url_path: /customers/{id}
    method: GET
    security: partner
    data_format: json
    timeout: 5
  - {name: two, service: fs-s.two, url_path: /two, security: machine}
  - {name: open, service: fs-s.two, url_path: /open, method: "GET, POST"}
  - {name: unused, service: fs-s.two, url_path: /off, is_active: false}
"""
KEY = "a-key-of-another-system"


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("FS_PASSWORD", "a-password")
    monkeypatch.setenv("FS_KEY", KEY)
    path = [*sys.path]
    yield
    sys.path[:] = path
    sys.modules.pop("fs_s", None)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "services").mkdir()
    (tmp_path / "config").mkdir()
    (tmp_path / "services" / "fs_s.py").write_text(SERVICE)
    return tmp_path


def write(project: Path, text: str) -> None:
    (project / "config" / "jobs.yaml").write_text(text)


async def ask(server: Listening, request: str, credentials: str = "") -> int:
    """Return the status of a request, such as ``GET /a``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"{request} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    length = "Content-Length: 0\r\n" if request.startswith("POST") else ""
    writer.write(f"{head}{length}{credentials}\r\n".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


def basic(name: str, password: str) -> str:
    text = base64.b64encode(f"{name}:{password}".encode()).decode()
    return f"Authorization: Basic {text}\r\n"


ADMIN = basic("admin.invoke", "not-a-secret")
PARTNER = basic("partner.user", "a-password")
MACHINE = f"X-API-Key: {KEY}\r\n"


async def test_channels_and_credentials_of_the_file_are_served(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, FILE)
    cases = {
        ("GET /customers/5", PARTNER): 200,
        ("POST /customers/5", PARTNER): 405,
        ("GET /customers/5", MACHINE): 403,
        ("GET /customers/5", ""): 401,
        ("GET /customers/5", basic("partner.user", "wrong")): 401,
        ("GET /customers/5", basic("nobody.user", "another-secret")): 403,
        ("POST /two", MACHINE): 200,
        ("GET /two", f"Authorization: Bearer {KEY}\r\n"): 200,
        ("GET /two", f"X-API-Key: {KEY}x\r\n"): 401,
        ("GET /two", PARTNER): 403,
        ("GET /open", ""): 401,
        ("GET /open", ADMIN): 200,
        ("POST /open", ADMIN): 200,
        ("GET /off", ADMIN): 404,
        ("GET /own/1", ADMIN): 200,
        ("GET /configured", ADMIN): 200,
    }

    async with open_app(project, SETTINGS) as app, open_server(app, environ=ENVIRON) as server:
        found = {case: await ask(server, *case) for case in cases}

    assert found == cases
    reasons = [vars(it)["why"] for it in caplog.records if it.message == "jobs file differs"]
    assert [reason.partition(": ")[2] for reason in reasons] == [
        "channel `customers`: timeout has no effect here",
        "channel `open` has no security; here it needs a user or key",
        "channel `unused` has no security; here it needs a user or key",
        "security `other`: type 'oauth' has no effect here",
    ]
    assert (await asyncio.to_thread(check, project))[0] == []


async def test_a_key_of_the_file_has_its_name_and_keeps_what_the_file_does_not_say(
    project: Path,
) -> None:
    write(project, FILE)
    secrets = "zato.security.key"
    stored = replace(SETTINGS, store=Store())

    async with open_app(project, stored) as app:
        (before,) = await app.invoker.invoke(f"{secrets}.get-list", {})
        sent = {"name": "machine", "owner": "ann", "days": 30, "patterns": ["own.*"]}
        await app.invoker.invoke(f"{secrets}.edit", sent)
        with pytest.raises(ConflictError, match="is declared in the jobs file"):
            await app.invoker.invoke(f"{secrets}.rotate", {"name": "machine"})
    async with open_app(project, stored) as app:
        (after,) = await app.invoker.invoke(f"{secrets}.get-list", {})

    assert (before["name"], before["owner"], before["expires"]) == ("machine", "", None)
    assert (after["owner"], after["expires"] is not None) == ("ann", True)
    assert after["patterns"] == before["patterns"]


async def test_a_changed_file_changes_channels_and_passwords(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, FILE)
    chosen = replace(SETTINGS, services=Services(reload=True))

    async with open_app(project, chosen) as app, open_server(app, environ=ENVIRON) as server:
        assert await ask(server, "GET /customers/5", PARTNER) == 200
        hashed = (await app.accounts.list("user"))[-1]
        monkeypatch.setenv("FS_PASSWORD", "a-new-password")
        write(project, FILE.replace("/customers/", "/clients/"))

        async with asyncio.timeout(10):
            while (  # noqa: ASYNC110
                await ask(server, "GET /clients/5", basic("partner.user", "a-new-password")) != 200
            ):
                await asyncio.sleep(0.02)

        assert await ask(server, "GET /customers/5", ADMIN) == 404
        assert await ask(server, "GET /clients/5", PARTNER) == 401
        assert (await app.accounts.list("user"))[-1] != hashed


async def test_a_second_start_leaves_the_hashes_as_they_are(project: Path) -> None:
    write(project, FILE)
    stored = replace(SETTINGS, store=Store())
    found = []

    for _ in range(2):
        async with open_app(project, stored) as app:
            found.append([*await app.accounts.list("user"), *await app.accounts.list("key")])

    assert found[0] == found[1]
    assert {it.name for it in found[0] if it.kind == "user"} == {"partner.user", "nobody.user"}
    assert KEY not in str(found)
    assert [it.patterns for it in found[0]] == [("zato.ping",), ("fs-s.one",), ("fs-s.two",)]


ADMIN_FILE = (
    "security: [{name: s, type: basic_auth, username: admin.invoke, password: long-enough}]"
)
CHANNEL = "channel_rest: [{{name: c, service: fs-s.two, url_path: /c{}}}]"
SECURITY = "security: [{{name: s, type: basic_auth, username: u, password: long-enough{}}}]"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ADMIN_FILE, "the server's own user"),
        (CHANNEL.format(", security: none"), "security: 'none' is not defined"),
        (CHANNEL.format(", data_format: xml"), "data_format: 'xml' is not supported"),
        ("channel_rest: [{name: c, service: no.such, url_path: /c}]", "Service `no.such`"),
        ("channel_rest: [{name: c, service: fs-s.two}]", "element: url_path"),
        ("channel_rest: [{name: c, url_path: /c}]", "element: service"),
        ("channel_rest: [{service: fs-s.two, url_path: /c}]", "element: name"),
        ("channel_rest: [{name: c, service: fs-s.two, url_path: c}]", "not a valid REST channel"),
        ("channel_rest: [{name: c, service: fs-s.two, method: get, url_path: '/own/{x}'}]",
         "already a channel"),
        ("channel_rest: [{name: c, service: fs-s.two, url_path: /configured, method: GET}]",
         "[server.channels]"),
        ("channel_rest: [5]", "an entry must be an object"),
        ("channel_rest: {}\nsecurity: {a: 1}", "`security` must be a list"),
        ("security: [{name: s, type: basic_auth, username: u, password: short}]", "at least 8"),
        ("security: [{name: s, type: apikey, password: only-12-long}]", "at least 16"),
        ("security: [{name: s, type: basic_auth, password: long-enough}]", "element: username"),
        ("security: [{name: s, type: basic_auth, username: u, password: '${FS_GONE}'}]",
         "variable FS_GONE is not set"),
        (SECURITY.format("}, {name: s, type: apikey"), "defined twice"),
    ],
)  # fmt: skip
async def test_a_wrong_entry_is_refused_with_its_line(
    project: Path, text: str, words: str
) -> None:
    write(project, f"scheduler: []\n{text}\n")
    (project / "config" / "zato-lite.toml").write_text(
        "[server.channels]\n'GET /configured' = 'zato.ping'\n"
    )

    mistakes, _ = await asyncio.to_thread(check, project)
    with pytest.raises(ConfigError) as caught:
        async with open_app(project, SETTINGS):
            pass

    assert any(words in mistake for mistake in mistakes)
    assert all("jobs.yaml: line " in mistake for mistake in mistakes)
    assert str(caught.value).splitlines() == mistakes
    assert "long-enough" not in str(caught.value)
    skipping = replace(SETTINGS, scheduler=Scheduler(enabled=False, jobs_file_errors="skip"))
    async with open_app(project, skipping) as app:
        assert list(app.channels) == ["GET /configured"]


async def test_callers_of_apply_cannot_add_credentials(project: Path) -> None:
    async with open_app(project, SETTINGS) as app:
        done = await app.invoker.invoke("zato.scheduler.job.apply", {"document": FILE})

        assert [it.partition(":")[0] for it in done["differences"]] == [
            "section `security` has no effect here, only in the server's own file",
            "section `channel_rest` has no effect here, only in the server's own file",
        ]
        assert await app.accounts.list("user") == []


OUTGOING = """\
security:
  - {name: crm.user, type: basic_auth, username: ann, password: "${FS_PASSWORD}"}
  - {name: crm.key, type: apikey, username: x, password: short}
  - {name: oauth, type: bearer_token, password: x}
outgoing_rest:
  - name: CRM
    host: https://crm.example.com/
    url_path: /api/{id}
    security: crm.user
    timeout: "7"
    validate_tls: false
    data_format: json
    ping_method: HEAD
  - {name: Key, host: "http://key", security_name: crm.key}
  - {name: Open, host: "http://open", security: zato-no-security}
  - {name: Unused, is_active: false}
sql:
  - {name: Shop, type: sqlite, db_name: shop.db}
  - name: Big
    type: postgresql
    host: db
    port: 5432
    db_name: big
    username: a@b
    password: p
    pool_size: 3
email_smtp:
  - {name: Office, host: mail, port: 465, mode: ssl, username: u, password: p, timeout: 3}
  - {name: Plain, host: mail, mode: plain}
"""

WRONG_OUTGOING = """\
security:
  - {name: oauth, type: bearer_token, password: x}
  - {name: empty, type: basic_auth, username: x, password: ""}
outgoing_rest:
  - {name: Taken, host: "http://a"}
  - {name: NoHost}
  - {name: Who, host: "http://a", security: nobody}
  - {name: Token, host: "http://a", security: oauth}
  - {name: Empty, host: "http://a", security: empty}
  - {name: Slow, host: "http://a", timeout: soon}
sql:
  - {name: Oracle, type: oracle, db_name: x}
  - {name: NoName, type: postgresql}
email_smtp:
  - {name: Odd, host: mail, mode: tls}
  - {name: Half, host: mail, username: u}
"""


async def test_connections_of_the_file_are_added_to_those_of_the_settings(
    project: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(project, OUTGOING)
    async with open_app(project, SETTINGS) as app:
        connections = app.invoker.connections
        user = await app.accounts.find("user", "ann")
        crm, shop = connections.rest["CRM"].key, connections.sql["Shop"].key
        names = [sorted(connections.rest.shared), sorted(connections.sql.shared)]
        smtp = {name: each.key for name, each in connections.smtp.shared.items()}
        old = connections.replace(Outgoing(rest={"Own": Rest("http://own")}))
        with_own = sorted(connections.rest.shared)
        await connections.retire([*old, *connections.declare(Outgoing())])
        with pytest.raises(ConfigError, match="host is missing"):
            connections.declare(Outgoing(smtp={"Bad": Smtp("")}))
        later = sorted(connections.rest.shared)

    assert app.problems == ()
    assert user is None
    assert names == [["CRM", "Key", "Open"], ["Big", "Shop"]]
    rest = cast("Any", crm)[0]
    assert rest.url == "https://crm.example.com/api/{id}"
    assert (rest.auth, rest.username, rest.secret) == ("basic", "ann", "a-password")
    assert (rest.timeout, rest.verify) == (7.0, False)
    assert str(cast("Any", shop)[1]).endswith("/shop.db")
    modes = {name: cast("Any", key)[0].tls for name, key in smtp.items()}
    assert modes == {"Office": "tls", "Plain": "none"}
    assert with_own == ["CRM", "Key", "Open", "Own"]
    assert later == ["Own"]
    whys = [str(record.__dict__.get("why")) for record in caplog.records]
    assert any("outgoing_rest `CRM`: ping_method has no effect here" in why for why in whys)


async def test_a_service_calls_a_system_that_the_file_names(project: Path) -> None:
    (project / "services" / "fs_s.py").write_text(
        "from zato.server.service import Service\n\nclass One(Service):\n    def handle(self):\n"
        "        self.response.payload = self.out.rest['CRM'].conn.get(self.cid, {'id': 7}).data\n"
    )
    async with serving() as upstream:
        write(
            project,
            "security:\n  - {name: s, type: apikey, password: a-key}\n"
            f"outgoing_rest:\n  - {{name: CRM, host: '{upstream.url}', url_path: '/c/{{id}}', "
            "security: s}\n",
        )
        async with open_app(project, SETTINGS) as app:
            assert app.problems == ()
            assert await app.invoker.invoke("fs-s.one") == {"name": "Ann"}

    assert upstream.request.target == "/c/7"
    assert upstream.request.headers["x-api-key"] == "a-key"


def test_mistakes_in_connections_of_the_file_have_their_lines(project: Path) -> None:
    (project / "config" / "zato-lite.toml").write_text(
        '[outgoing.rest.Taken]\nurl = "http://taken"\n'
    )
    write(project, WRONG_OUTGOING)

    found, _ = check(project)

    texts = [line.partition("jobs.yaml: ")[2] or line for line in "\n".join(found).splitlines()]
    wanted = """
line 5: outgoing_rest `Taken`: name: it is in the settings already
line 6: outgoing_rest `NoHost`: host: Missing required input element: host
line 7: outgoing_rest `Who`: security: 'nobody' is not defined; defined are: empty, oauth
line 8: outgoing_rest `Token`: security: type 'bearer_token' is not supported; use basic_auth or
line 9: outgoing_rest `Empty`: password: Missing required input element: password
line 10: outgoing_rest `Slow`: Expected `float`, got `str` - at `$.timeout`
line 12: sql `Oracle`: type: 'oracle' is not supported; use mysql, postgresql, sqlite, or
line 13: sql `NoName`: db_name: Missing required input element: db_name
line 15: email_smtp `Odd`: mode: 'tls' is not supported; use plain, ssl, starttls
line 16: email_smtp `Half`: username and password are needed together
"""
    for line in wanted.strip().splitlines():
        assert any(text.strip().startswith(line) for text in texts), (line, texts)
