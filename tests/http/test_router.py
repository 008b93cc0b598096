import pytest

from zato_lite.errors import ConfigError
from zato_lite.http.message import Request, Response
from zato_lite.http.router import ChannelTable, Router, Target, WrongMethod
from zato_lite.http.routes import Channel, Route, parse_channel
from zato_lite.service.message import Caller


def table(*texts: str) -> ChannelTable:
    return ChannelTable((parse_channel(text), text) for text in texts)


CUSTOMERS = table(
    "GET /customers",
    "POST /customers",
    "GET /customers/{id}",
    "GET /customers/new",
    "PUT,PATCH /customers/{id}/notes/{number}",
    "/anything",
    "HEAD /heads",
)


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/customers", Target("GET /customers", {}, "/customers")),
        ("HEAD", "/customers", Target("GET /customers", {}, "/customers")),
        ("POST", "/customers", Target("POST /customers", {}, "/customers")),
        ("GET", "/customers/7", Target("GET /customers/{id}", {"id": "7"}, "/customers/{id}")),
        ("GET", "/customers/new", Target("GET /customers/new", {}, "/customers/new")),
        (
            "GET",
            "/customers/a%20b%2Fc",
            Target("GET /customers/{id}", {"id": "a b/c"}, "/customers/{id}"),
        ),
        (
            "GET",
            "/customers/{id}",
            Target("GET /customers/{id}", {"id": "{id}"}, "/customers/{id}"),
        ),
        (
            "PATCH",
            "/customers/new/notes/2",
            Target(
                "PUT,PATCH /customers/{id}/notes/{number}",
                {"id": "new", "number": "2"},
                "/customers/{id}/notes/{number}",
            ),
        ),
        ("DELETE", "/anything", Target("/anything", {}, "/anything")),
        ("DELETE", "/customers/7", WrongMethod(("GET", "HEAD"))),
        ("GET", "/customers/7/notes/2", WrongMethod(("PATCH", "PUT"))),
        ("GET", "/heads", WrongMethod(("HEAD",))),
        ("GET", "/customers/", None),
        ("GET", "/customers//notes/2", None),
        ("GET", "/", None),
        ("GET", "/nowhere", None),
    ],
)
def test_a_path_leads_to_its_channel(method: str, path: str, found: object) -> None:
    assert CUSTOMERS.find(method, path) == found


def test_an_empty_table_finds_nothing() -> None:
    assert table().find("GET", "/") is None


@pytest.mark.parametrize(
    "text",
    ["", "GET", "customers", "get /x {id}", "GET /a{b}", "GET /{a}/{a}", "G3T /a", "GET /}"],
)
def test_an_invalid_channel_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_channel(text)


def test_a_channel_has_one_service() -> None:
    with pytest.raises(ConfigError, match="twice"):
        table("GET /a/{b}", "GET /a/{c}")


def test_a_channel_knows_its_parameters() -> None:
    assert parse_channel(" get,POST /a/{b} ") == Channel(("GET", "POST"), ("a", "{b}"))
    assert parse_channel("/a/{b}/{c}").parameters == ("b", "c")
    assert parse_channel("/a/{b}").path == "/a/{b}"


async def answer(request: Request, caller: Caller | None) -> Response:
    return Response()


@pytest.mark.parametrize(
    ("method", "path", "found"),
    [
        ("GET", "/zato/ping", Target("zato.ping", is_public=True)),
        ("HEAD", "/zato/ping", Target("zato.ping", is_public=True)),
        ("POST", "/zato/ping", Target("zato.ping", is_public=True)),
        ("PUT", "/zato/ping", WrongMethod(("GET", "HEAD", "POST"))),
        ("GET", "/zato/api/invoke/crm%2Efind", Target("crm.find")),
        ("GET", "/zato%2Fapi%2Finvoke%2Fcrm.find", None),
        ("GET", "/zato/api/invoke%2Fcrm.find", None),
        ("GET", "/zato%2fping", None),
        ("POST", "/shop%2Fcart", None),
        ("GET", "/zato/api/invoke/crm.find", Target("crm.find")),
        ("PUT", "/zato/api/invoke/", Target("")),
        ("GET", "/own", OWN := Route(("GET",), "/own", answer)),
        ("HEAD", "/own", OWN),
        ("POST", "/own", WrongMethod(("GET", "HEAD"))),
        ("GET", "/own/below", Target("customers", {}, "/own/below")),
        ("POST", "/shop", SHOP := Route(("POST",), "/shop/*", answer)),
        ("POST", "/shop/", SHOP),
        ("POST", "/shop/cart/1", SHOP),
        ("GET", "/shop/cart", WrongMethod(("POST",))),
        ("GET", "/shopping", None),
    ],
)
def test_the_server_s_own_routes_win_over_channels(method: str, path: str, found: object) -> None:
    router = Router()
    router.add([OWN, SHOP])
    channels = ("/own", "/own/below", "/shop/{any}", "/zato/ping")
    router.table = ChannelTable((parse_channel(text), "customers") for text in channels)

    assert router.find(method, path) == found


@pytest.mark.parametrize(
    "raw_path",
    [
        "/zato%2Fping",
        "/%7Aato/ping",
        "/zato/pin%67",
        "/%6Fwn",
        "/own%2F",
        "/sho%70/cart",
        "/SHOP/a",
    ],
)
def test_the_server_s_own_routes_are_found_by_the_path_as_it_was_sent(raw_path: str) -> None:
    router = Router()
    router.add([OWN, SHOP])

    assert router.find("GET", raw_path) is None


@pytest.mark.parametrize(
    ("channels", "method", "found"),
    [
        ((), "GET", "fallback"),
        ((), "HEAD", "fallback"),
        ((), "POST", WrongMethod(("GET", "HEAD"))),
        (("GET /favicon.ico",), "GET", Target("GET /favicon.ico", {}, "/favicon.ico")),
        (("GET /favicon.ico",), "POST", WrongMethod(("GET", "HEAD"))),
        (("GET /{name}",), "GET", Target("GET /{name}", {"name": "favicon.ico"}, "/{name}")),
    ],
)
def test_a_fallback_answers_where_nothing_else_does(
    channels: tuple[str, ...], method: str, found: object
) -> None:
    fallback = Route(("GET",), "/favicon.ico", answer, is_fallback=True)
    router = Router()
    router.add([fallback])
    router.table = table(*channels)

    assert router.find(method, "/favicon.ico") == (fallback if found == "fallback" else found)


def test_a_folder_wins_over_a_fallback() -> None:
    folder = Route(("GET",), "/*", answer)
    router = Router()
    router.add([Route(("GET",), "/favicon.ico", answer, is_fallback=True), folder])

    assert router.find("GET", "/favicon.ico") == folder


def test_a_route_beyond_ascii_is_found_by_its_encoded_path() -> None:
    router = Router()
    router.add([route := Route(("GET",), "/caf\xe9/*", answer)])

    assert router.find("GET", "/caf%C3%A9/a") == route
