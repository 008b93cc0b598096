"""Ten service files of the kind that Zato's users publish, against real servers."""

import asyncio
import hmac
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, nullcontext
from email.message import EmailMessage
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from tests.outgoing import redis_server
from tests.outgoing.test_mail import Inbox, mail_in, mail_server
from tests.outgoing.upstream import Answer, Upstream, serving
from tests.zato.asgi_client import PASSWORD, request
from zato_lite.check import check
from zato_lite.errors import TooManyRequestsError, UnauthorizedError
from zato_lite.http.asgi import asgi_app
from zato_lite.server import open_edge
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.zato.service import Service

pytestmark = pytest.mark.usefixtures("imports")

FILES = Path(__file__).parent / "published"

SCHEMA = """
CREATE TABLE customer (id integer, name text, city text);
CREATE TABLE orders (order_id integer, customer text, total float, note text);
CREATE TABLE invoice (number text, email text, sent_at text);
CREATE TABLE invoice_line (number text, item text, price float);
CREATE TABLE user (username text, password text);
CREATE TABLE event (id text, kind text);
CREATE TABLE stock (sku text, quantity integer, least integer);
CREATE TABLE setting (name text, value text);
CREATE TABLE price (sku text, price float);
INSERT INTO customer VALUES (1, 'Ann', 'Rome'), (2, 'Bob', 'Oslo');
INSERT INTO invoice VALUES ('A-1', 'ann@example.com', NULL), ('A-2', 'x@example.com', '2026');
INSERT INTO invoice_line VALUES ('A-1', 'pen', 2.5), ('A-1', 'ink', 4);
INSERT INTO stock VALUES ('pen', 2, 10), ('ink', 20, 10);
INSERT INTO setting VALUES ('currency', 'EUR');
INSERT INTO price VALUES ('pen', 2.5), ('ink', 4);
"""

SETTINGS = """
[outgoing.sql.Reporting]
url = "sqlite:///reporting.db"
[outgoing.smtp.Office]
host = "127.0.0.1"
port = {port}
tls = "none"
[user.invoices]
sender = "invoices@example.com"
currency = "EUR"
[services]
reload = false
"""


class World:
    """The project, with the servers that its services use."""

    def __init__(self, it: Sandbox, folder: Path, upstream: Upstream, inbox: Inbox) -> None:
        self.app, self.invoke, self.settle, self.advance = it.app, it.invoke, it.settle, it.advance
        self.folder, self.upstream, self.inbox = folder, upstream, inbox

    def rows(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(self.folder / "reporting.db")) as database:
            return database.execute(query).fetchall()

    def mail(self) -> EmailMessage:
        return mail_in(self.inbox)


def make_project(folder: Path, port: int, url: str, more: str = "") -> None:
    shutil.copytree(FILES, folder / "services", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "config").mkdir()
    rest = "".join(
        f'[outgoing.rest.{name}]\nurl = "{url}/{name.lower()}"\n'
        for name in ("CRM", "Bank", "Weather", "Supplier")
    )
    (folder / "config" / "zato-lite.toml").write_text(rest + SETTINGS.format(port=port) + more)
    (folder / "config" / "shop.ini").write_text("[webhook]\nsecret = s3cret\n")
    with closing(sqlite3.connect(folder / "reporting.db")) as database:
        database.executescript(SCHEMA)


@asynccontextmanager
async def world(folder: Path, answers: list[Any], more: str = "") -> AsyncIterator[World]:
    inbox = Inbox()
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(serving())
        upstream.answers = [Answer(body=json.dumps(each).encode()) for each in answers]
        make_project(folder, stack.enter_context(mail_server(inbox)), upstream.url, more)
        it = await stack.enter_async_context(sandbox(project=folder))
        assert it.app.problems == ()
        yield World(it, folder, upstream, inbox)


def test_check_finds_nothing_in_them(tmp_path: Path) -> None:
    make_project(tmp_path, 25, "http://127.0.0.1:1")

    assert len([*FILES.glob("*.py")]) == 10
    assert check(tmp_path)[0] == []


async def test_customers_are_copied_and_reported(tmp_path: Path) -> None:
    customers = [
        {"id": 1, "name": "Ann", "city": "Rome"},
        {"id": 2, "name": "Bob", "city": "Paris"},
        {"id": 3, "name": "Eve", "city": "Lyon"},
    ]
    async with world(tmp_path, [{"customers": customers}]) as it:
        first = await it.invoke("crm.customer.sync")
        again = await it.invoke("crm.customer.sync")

        assert it.upstream.requests[0].target == "/crm?status=active&page_size=100"
        assert it.upstream.requests[0].headers["x-zato-cid"]
        assert first == {"changed": ["Bob", "Eve"], "total": 2}
        assert again == {"changed": [], "total": 2}
        assert it.rows("SELECT city FROM customer ORDER BY id") == [
            ("Rome",),
            ("Paris",),
            ("Lyon",),
        ]
        assert it.mail()["Subject"] == "Customers changed: 2"


async def test_orders_are_a_resource(tmp_path: Path) -> None:
    async with (
        world(tmp_path, [{}]) as it,
        open_edge(it.app, {"ZATO_LITE_ADMIN_PASSWORD": PASSWORD}) as http,
    ):
        app = asgi_app(lambda: nullcontext(http))

        async def ask(method: str, number: str, **sent: Any) -> tuple[int, Any]:
            body = json.dumps(sent).encode() if sent else b""
            status, answer = await request(app, method, f"/published/orders/{number}", body)
            return status, json.loads(answer) if answer else None

        assert (await ask("GET", "7"))[0] == 404
        assert await ask("POST", "7", customer="Ann", total="9.5") == (201, {"order_id": 7})
        conflict = await ask("POST", "7", customer="Ann", total=9.5)
        missing = await ask("POST", "8", customer="Ann")
        wrong = await ask("GET", "x")
        found = await ask("GET", "7")
        deleted = await ask("DELETE", "7")

        assert (conflict[0], conflict[1]["details"]) == (409, "Order already exists")
        assert (missing[0], missing[1]["details"]) == (400, "Both customer and total are needed")
        assert wrong[0] == 400
        assert found == (200, {"order_id": 7, "customer": "Ann", "total": 9.5})
        assert deleted == (204, None)
        assert it.rows("SELECT * FROM orders") == []


async def test_rates_are_cached(tmp_path: Path) -> None:
    async with world(tmp_path, [{"rates": [{"mid": 4.25}]}]) as it:
        asked = {"currency": "eur", "date": "15-11-2026"}
        first = await it.invoke("rates.get-rate", asked)
        again = await it.invoke("rates.get-rate", asked)
        converted = await it.invoke("rates.convert", {"currency": "USD", "amount": "10"})

        assert first == {
            "currency": "EUR",
            "rate": "4.25",
            "date": "15-11-2026",
            "is_cached": False,
        }
        assert again == {**first, "is_cached": True}
        assert converted == {"amount": "42.50"}
        assert it.upstream.requests[0].target == "/bank?currency=EUR&date=2026-11-15"
        assert len(it.upstream.requests) == 2


async def test_invoices_are_mailed_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with world(tmp_path, [{}]) as it:
        with caplog.at_level("INFO"):
            assert await it.invoke("invoice-mailer.send-due") == ["A-1"]
            assert await it.invoke("invoice-mailer.send-due") == []

        mail = it.mail()
        (attached,) = mail.iter_attachments()
        body = mail.get_body()
        assert body is not None
        assert "Please pay 6.50 EUR" in body.get_content()
        assert attached.get_content() == b"item,price\r\npen,2.5\r\nink,4.0\r\n"
        assert "Sent 1 invoice(s)" in caplog.messages
        assert any("['A-1']" in message for message in caplog.messages)


async def test_the_stock_is_watched_and_ordered_later(tmp_path: Path) -> None:
    async with world(tmp_path, [{"is_ok": True}]) as it:
        await it.invoke("stock.monitor")
        await it.invoke("stock.monitor")
        assert it.mail()["Subject"] == "Low stock: pen"
        assert it.upstream.requests == []

        await it.advance(minutes=2)

        assert it.upstream.request.target == "/supplier"
        assert json.loads(it.upstream.request.body) == {"sku": "pen", "quantity": 8}


async def test_a_webhook_is_checked_and_its_event_handled_once(tmp_path: Path) -> None:
    async with (
        world(tmp_path, [{}]) as it,
        open_edge(it.app, {"ZATO_LITE_ADMIN_PASSWORD": PASSWORD}) as http,
    ):
        app = asgi_app(lambda: nullcontext(http))

        async def send(body: bytes, secret: bytes = b"s3cret") -> int:
            signed = {"x-signature": hmac.new(secret, body, sha256).hexdigest()}
            return (await request(app, "POST", "/published/webhook", body, headers=signed))[0]

        event = b'{"id": "e-1", "kind": "paid", "data": {"total": 7}}'
        assert await send(event, b"wrong") == 403
        assert await send(b'{"id": "e-1"}') == 400
        assert await send(event) == 202
        await it.settle()
        assert await send(event) == 202
        await it.settle()

        assert it.rows("SELECT id, kind FROM event") == [("e-1", "paid")]
        assert it.upstream.request.target == "/crm?notify=true"
        assert json.loads(it.upstream.request.body) == {"event": "paid"}


async def test_settings_are_behind_one_service(tmp_path: Path) -> None:
    async with world(tmp_path, [{}]) as it:
        asked = {"key": "currency", "needs_fresh": "yes"}
        assert await it.invoke("settings.get", asked) == {
            "setting": {"key": "currency", "value": "EUR"}
        }
        report = json.loads(await it.invoke("settings.report"))

        assert report["currency"] == "EUR"
        assert report["missing"] is None
        assert "settings.broken failed 2 times: Never works" in report["error"]


async def test_an_order_is_placed_as_in_4(tmp_path: Path) -> None:
    order = {"customer": "Ann", "lines": [{"sku": "pen", "quantity": 2}, {"sku": "ink"}]}
    async with world(tmp_path, [{}]) as it:
        answer = await it.invoke("shop.order.place", order)

        details = {"total": 9.0, "note": None}
        assert answer == {"order": {"customer": "Ann", "details": details}, "raw": "Ann"}
        assert json.loads(it.upstream.request.body) == {"customer": "Ann", "total": 9.0}
        assert await it.invoke("shop.order.place", order) == answer


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if redis_server.PROGRAM is None:
        pytest.skip(redis_server.MISSING)
    with redis_server.running(tmp_path_factory.mktemp("redis")) as url:
        yield f'[cache]\nurl = "{url}"\n'


@pytest.mark.e2e
async def test_users_log_in_with_a_limit_in_redis(tmp_path: Path, redis: str) -> None:
    async with world(tmp_path, [{}], redis) as it:
        ann = {"username": "ann", "password": "secret"}
        await it.invoke("login.sign-up", ann)
        first = await it.invoke("login.login", ann)
        again = await it.invoke("login.login", ann)
        who = await it.invoke("login.who-am-i", {"token": first["token"]})
        for _ in range(3):
            with pytest.raises(UnauthorizedError, match="Invalid credentials"):
                await it.invoke("login.login", {**ann, "password": "guess"})
        with pytest.raises(TooManyRequestsError, match="Try again later"):
            await it.invoke("login.login", ann)

        assert first["last_login"] is None
        assert isinstance(again["last_login"], str)
        assert who == {"username": "ann"}
        with pytest.raises(UnauthorizedError, match="Token expired"):
            await it.invoke("login.who-am-i", {"token": "x"})


@pytest.mark.e2e
async def test_several_services_are_asked_at_the_same_time(tmp_path: Path, redis: str) -> None:
    async with world(tmp_path, [{"celsius": 21}], redis) as it:
        answer = await it.invoke("weather.ask", {"city": "Rome"})
        latest = None
        async with asyncio.timeout(10):
            while latest is None:
                latest = await it.invoke("weather.latest")

        assert answer["cid"]
        assert latest == {"celsius": 21, "failed": ["weather.second"]}
        assert it.upstream.request.target == "/weather?city=Rome"


@pytest.mark.e2e
async def test_formats_of_times_may_be_in_redis(tmp_path: Path, redis: str) -> None:
    class Reformats(Service):
        name = "reformats"

        def handle(self) -> None:
            self.kvdb.set("kvdb:date-format:crm", "DD-MM-YYYY")
            self.response.payload = self.time.reformat("15-11-2019", "kvdb:crm", "YY.MM.DD")
            with pytest.raises(ValueError, match="Redis has no format 'kvdb:date-format:erp'"):
                self.time.reformat("15-11-2019", "kvdb:crm", "kvdb:erp")
            self.cache.set("a", "1", ex=60)
            assert self.cache.get("a") == self.redis.get("a") == "1"
            assert self.cache.exists("a")
            self.cache.delete("a")

    async with world(tmp_path, [{}], redis) as it:
        it.app.registry.add(Reformats)
        assert await it.invoke("reformats") == "19.11.15"
