"""Pages of other origins may call the server as far as the settings permit."""

from collections.abc import Awaitable, Callable

import pytest

from tests.http.conftest import BASIC, Invoker, Services
from zato_lite.config import Server
from zato_lite.errors import ConfigError
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.cors import CorsPolicy
from zato_lite.http.message import Request, Response
from zato_lite.http.passwords import new_key
from zato_lite.server import cors_policy
from zato_lite.store.accounts import Accounts, Credential

PAGE = b"https://app.example"
PATH = "/zato/api/invoke/echo"

Send = Callable[..., Awaitable[Response]]


@pytest.fixture
async def key(users: Accounts) -> bytes:
    made = new_key()
    await users.save(Credential("key", made.name, made.hash, frozenset({"admin"}), (), True))
    return b"Bearer " + made.text.encode()


@pytest.fixture
def sender(invoker: Invoker, authenticator: Authenticator) -> Callable[..., Send]:
    """Return a function that returns a sender to a server with these settings."""

    def make(*origins: str, has_credentials: bool = False) -> Send:
        settings = Server(cors_origins=origins, cors_credentials=has_credentials)
        app = HttpApp(invoker.begin, Services(), authenticator, cors=cors_policy(settings))

        async def send(
            method: str = "POST",
            path: str = PATH,
            *,
            origin: bytes | None = PAGE,
            authorization: bytes | None = None,
            **more: bytes,
        ) -> Response:
            head = {
                b"host": b"localhost",
                **{n.replace("_", "-").encode(): v for n, v in more.items()},
            }
            if origin is not None:
                head |= {b"origin": origin, b"sec-fetch-site": b"cross-site"}
            if authorization is not None:
                head[b"authorization"] = authorization
            return await app(Request(method, path, b"", head, b"{}", "::1", path))

        return send

    return make


def allowed(response: Response) -> dict[str, str]:
    return {
        name.removeprefix("Access-Control-"): value
        for name, value in response.headers
        if name.startswith("Access-Control-")
    }


async def test_a_page_of_an_allowed_origin_may_call_with_a_key(
    sender: Callable[..., Send], key: bytes
) -> None:
    send = sender("https://app.example")

    preflight = await send("OPTIONS", access_control_request_method=b"POST")
    answers = [await send(authorization=key) for _ in range(3)]  # the later ones are fast

    assert (preflight.status, preflight.body) == (204, b"")
    found = allowed(preflight)
    assert found["Allow-Origin"] == "https://app.example"
    assert "POST" in found["Allow-Methods"]
    assert "Authorization" in found["Allow-Headers"]
    assert found["Max-Age"] == "600"
    assert [each.status for each in answers] == [200] * 3
    assert all(allowed(each)["Allow-Origin"] == "https://app.example" for each in answers)
    assert all(("Vary", "Origin") in each.headers for each in answers)
    assert "Allow-Credentials" not in found


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b"https://app.example.evil"])
async def test_pages_of_other_origins_are_refused(
    sender: Callable[..., Send], key: bytes, origin: bytes
) -> None:
    send = sender("https://app.example")

    preflight = await send("OPTIONS", origin=origin, access_control_request_method=b"POST")
    answer = await send(origin=origin, authorization=key)

    assert allowed(preflight) == {}
    assert preflight.status >= 400
    assert (answer.status, allowed(answer)) == (403, {})


async def test_errors_can_be_read_by_the_page(sender: Callable[..., Send]) -> None:
    send = sender("https://app.example")

    none = await send()
    unknown = await send(path="/nothing")

    assert (none.status, allowed(none)["Allow-Origin"]) == (401, "https://app.example")
    assert (unknown.status, allowed(unknown)["Allow-Origin"]) == (404, "https://app.example")
    assert "X-Zato-CID" in allowed(none)["Expose-Headers"]


@pytest.mark.parametrize("origins", [("*",), ("https://app.example",)])
async def test_a_remembered_password_counts_only_where_the_settings_say_so(
    sender: Callable[..., Send], origins: tuple[str, ...], key: bytes
) -> None:
    send = sender(*origins)

    forged = await send(authorization=BASIC)
    beside_a_key = await send(authorization=BASIC, x_api_key=b"x")
    cookie = await send(cookie=b"zato_lite_session=x")
    with_key = await send(authorization=key)

    assert (forged.status, beside_a_key.status, cookie.status) == (403, 403, 403)
    assert b"has to send an API key" in forged.body
    assert with_key.status == 200


async def test_a_listed_origin_may_be_given_credentials(sender: Callable[..., Send]) -> None:
    send = sender("https://app.example", has_credentials=True)

    answer = await send(authorization=BASIC)

    assert answer.status == 200
    assert allowed(answer)["Allow-Credentials"] == "true"
    assert allowed(answer)["Allow-Origin"] == "https://app.example"


async def test_any_origin_is_never_allowed_with_credentials() -> None:
    with pytest.raises(ConfigError, match="cors_credentials"):
        cors_policy(Server(cors_origins=("*",), cors_credentials=True))


async def test_any_origin_gets_a_star(sender: Callable[..., Send], key: bytes) -> None:
    answer = await sender("*")(authorization=key)

    assert allowed(answer)["Allow-Origin"] == "*"


async def test_a_preflight_for_another_host_is_refused(sender: Callable[..., Send]) -> None:
    send = sender("https://app.example")

    answer = await send("OPTIONS", access_control_request_method=b"POST", host=b"evil.example")

    assert answer.status == 421


async def test_requests_without_an_origin_are_as_before(
    sender: Callable[..., Send], invoker: Invoker, authenticator: Authenticator
) -> None:
    with_cors = await sender("https://app.example")(origin=None, authorization=BASIC)
    plain = HttpApp(invoker.begin, Services(), authenticator)
    head = {b"host": b"localhost", b"origin": PAGE, b"authorization": BASIC}

    without = await plain(Request("POST", PATH, b"", head, b"{}", "::1", PATH))

    assert (with_cors.status, allowed(with_cors)) == (200, {})
    assert (without.status, allowed(without)) == (403, {})
    assert not CorsPolicy().permits(PAGE)
