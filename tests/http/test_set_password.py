"""The link of the first start sets the admin's password once, without a script."""

import re
from urllib.parse import urlencode

import pytest
from argon2 import PasswordHasher

from tests.http.conftest import Ask, Invoker, MovedClock, Services
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.first_start import PATH, invitation, invite_admin
from zato_lite.http.passwords import Passwords
from zato_lite.store.accounts import ADMIN, Accounts
from zato_lite.store.audit import AuditLog
from zato_lite.store.ports import Database
from zato_lite.store.sessions import PasswordCodes, Sessions

PASSWORD = "correct horse"  # noqa: S105


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def codes(store: Database) -> PasswordCodes:
    return PasswordCodes(store)


@pytest.fixture
async def authenticator(
    users: Accounts, audit_log: AuditLog, sessions: Sessions, clock: MovedClock
) -> Authenticator:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=32))
    return Authenticator(users, audit_log, passwords, clock, sessions)


@pytest.fixture
def app(invoker: Invoker, authenticator: Authenticator, codes: PasswordCodes) -> HttpApp:
    return HttpApp(invoker.begin, Services(), authenticator, codes=codes)


@pytest.fixture
async def code(users: Accounts, codes: PasswordCodes, clock: MovedClock) -> str:
    link = await invite_admin(users, codes, clock)
    assert link is not None
    return link.partition("?code=")[2]


def form(code: str, password: str = PASSWORD, repeated: str = PASSWORD) -> bytes:
    return urlencode({"code": code, "password": password, "repeated": repeated}).encode()


async def test_the_link_sets_the_password_and_signs_in(
    ask: Ask, code: str, users: Accounts, audit_log: AuditLog
) -> None:
    status, headers, page = await ask("GET", f"{PATH}?code={code}", auth=None)
    set_, answer, _ = await ask("POST", PATH, form(code), auth=None)
    cookie = answer["set-cookie"].partition(";")[0]

    assert (status, set_) == (200, 303)
    assert headers["content-type"].startswith("text/html")
    assert headers["cache-control"] == "no-store"
    assert answer["location"] == "../dashboard/"
    assert "HttpOnly; SameSite=Strict" in answer["set-cookie"]
    assert code.encode() in page
    assert (await ask("GET", "/zato/session", auth=None, cookie=cookie))[0] == 200
    login = b'{"username": "admin.invoke", "password": "correct horse"}'
    assert (await ask("POST", "/zato/session", login, auth=None))[0] == 200
    admin = await users.find("user", ADMIN)
    assert admin is not None
    assert admin.roles == {"admin"}
    records = [(r.who, r.action, r.outcome) for r in await audit_log.list()]
    assert (ADMIN, "set-password", "ok") in records


async def test_the_link_is_valid_once(ask: Ask, code: str, users: Accounts) -> None:
    await ask("POST", PATH, form(code), auth=None)
    first = await users.find("user", ADMIN)

    again = await ask("POST", PATH, form(code, "another one", "another one"), auth=None)
    page = await ask("GET", f"{PATH}?code={code}", auth=None)

    assert (again[0], page[0]) == (403, 403)
    assert "set-cookie" not in again[1]
    assert b"This link is not valid" in page[2]
    assert await users.find("user", ADMIN) == first


async def test_the_link_is_valid_for_fifteen_minutes(
    ask: Ask, code: str, users: Accounts, clock: MovedClock
) -> None:
    clock.seconds = 14 * 60
    assert (await ask("GET", f"{PATH}?code={code}", auth=None))[0] == 200

    clock.seconds = 15 * 60
    assert (await ask("GET", f"{PATH}?code={code}", auth=None))[0] == 403
    assert (await ask("POST", PATH, form(code), auth=None))[0] == 403
    assert await users.list("user") == []


@pytest.mark.parametrize(
    ("password", "repeated", "words"),
    [
        ("short", "short", b"8 to 1000 characters"),
        ("", "", b"8 to 1000 characters"),
        ("x" * 1001, "x" * 1001, b"8 to 1000 characters"),
        (PASSWORD, "correct house", b"The two passwords differ"),
        (PASSWORD, "", b"The two passwords differ"),
    ],
)
async def test_a_mistake_is_shown_and_leaves_the_link_valid(  # noqa: PLR0917 - fixtures
    ask: Ask, code: str, users: Accounts, password: str, repeated: str, words: bytes
) -> None:
    status, headers, page = await ask("POST", PATH, form(code, password, repeated), auth=None)

    assert status == 400
    assert words in page
    assert not password or password.encode() not in page
    assert "set-cookie" not in headers
    assert await users.list("user") == []
    assert (await ask("POST", PATH, form(code), auth=None))[0] == 303


@pytest.mark.parametrize(
    "body",
    [
        b"", b"code=", b"code=x&password=longenough", b"\xff", b"code=%FF", b"{}",
        b"&".join(b"a=%d" % n for n in range(50)), b"code=%00", b"code=<script>alert(1)</script>",
    ],
)  # fmt: skip
async def test_a_wrong_code_is_refused(ask: Ask, users: Accounts, code: str, body: bytes) -> None:
    status, _, page = await ask("POST", PATH, body, auth=None)
    doubled = await ask("POST", PATH, b"code=x&" + form(code), auth=None)

    assert (status, doubled[0]) == (403, 403)
    assert b"<script" not in page
    assert await users.list("user") == []


async def test_another_site_cannot_send_the_form(ask: Ask, code: str) -> None:
    for headers in ({"sec_fetch_site": "cross-site"}, {"origin": "http://evil.example"}):
        assert (await ask("POST", PATH, form(code), auth=None, **headers))[0] == 403

    page = await ask("GET", f"{PATH}?code={code}", auth=None, sec_fetch_site="cross-site")
    assert page[0] == 200  # a link may be followed from a terminal in a browser


async def test_the_page_runs_and_loads_nothing(ask: Ask, code: str) -> None:
    _, headers, page = await ask("GET", f"{PATH}?code={code}", auth=None)
    policy, text = headers["content-security-policy"], page.decode()
    no_icon = '<link rel="icon" href="data:,">'  # Firefox asks for one otherwise

    assert "default-src 'none'" in policy
    assert no_icon in text
    text = text.replace(no_icon, "")
    assert "unsafe" not in policy
    assert "form-action 'self'; base-uri 'none'; frame-ancestors 'none'" in policy
    assert not re.search(r"<script|javascript:|\son\w+=|style=|src=|href=", text)
    assert '<meta name="referrer" content="same-origin">' in text
    assert text.count("<label for=") == 3


async def test_a_later_start_replaces_the_link_and_an_admin_needs_none(
    ask: Ask, code: str, users: Accounts, codes: PasswordCodes, clock: MovedClock
) -> None:
    later = await invite_admin(users, codes, clock)

    assert later is not None
    assert (await ask("GET", f"{PATH}?code={code}", auth=None))[0] == 403
    assert (await ask("POST", PATH, form(later.partition("=")[2]), auth=None))[0] == 303
    assert await invite_admin(users, codes, clock) is None


async def test_the_store_holds_no_code(code: str, store: Database) -> None:
    rows = await store.read(lambda c: list(c.execute("SELECT * FROM password_code")))

    assert len(rows) == 1
    assert code not in repr(rows)
    assert "15 minutes" in invitation(f"http://h{PATH}?code={code}")
