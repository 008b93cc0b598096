"""Static folders serve their files, and never those outside."""

import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.http.conftest import BASIC, Invoker, Running, Services, running
from zato_lite.app import open_app
from zato_lite.config import Static, load, load_project
from zato_lite.errors import ConfigError
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.passwords import new_key
from zato_lite.http.static import static_route
from zato_lite.server import open_server, open_static
from zato_lite.store.accounts import Accounts, Credential

Ask = Callable[..., Awaitable[tuple[int, dict[bytes, bytes], bytes]]]
TEXT = "body { color: red }\n" * 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "static"
    (root / "inner").mkdir(parents=True)
    (root / "index.html").write_text("<p>home")
    (root / "inner" / "index.html").write_text("<p>inner")
    (root / "style.css").write_text(TEXT)
    (root / "data.bin").write_bytes(b"0123456789")
    (root / "a b.txt").write_text("space")
    (root / ".secret").write_text("hidden")
    (root / ".git").mkdir()
    (root / ".git" / "config").write_text("hidden")
    (tmp_path / "outside.txt").write_text("outside")
    (root / "link.txt").symlink_to(tmp_path / "outside.txt")
    (root / "up").symlink_to(tmp_path)
    return root


@pytest.fixture
async def ask(folder: Path, invoker: Invoker, authenticator: Authenticator) -> Any:
    routes = [static_route(folder, "/site", None), static_route(folder, "/inside", "viewer")]
    app = HttpApp(invoker.begin, Services(), authenticator, routes=routes)

    async with running(app.begin) as run:

        async def ask(target: str, method: str = "GET", **fields: str) -> Any:
            return await asked(run, target, method, fields)

        yield ask


async def asked(run: Running, target: str, method: str, fields: dict[str, str]) -> Any:
    client = await run.connect()
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    client.send(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode())
    if method == "HEAD":
        first, *lines = (await client.reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        parts = (line.partition(b": ") for line in lines)
        return int(first.split()[1]), {name.lower(): value for name, _, value in parts}, b""
    return await client.answer()


async def test_files_have_their_types_and_tags(ask: Ask) -> None:
    status, headers, body = await ask("/site/data.bin")
    again = await ask("/site/data.bin", if_none_match=headers[b"etag"].decode())
    part = await ask("/site/data.bin", range="bytes=2-4")
    head = await ask("/site/data.bin", "HEAD")

    assert (status, body) == (200, b"0123456789")
    assert headers[b"cache-control"] == b"no-cache"
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert (again[0], part[0], part[2]) == (304, 206, b"234")
    assert (head[0], head[1][b"content-length"]) == (200, b"10")
    assert (await ask("/site/a%20b.txt"))[2] == b"space"


async def test_a_path_with_a_slash_is_the_index(ask: Ask) -> None:
    home, inner, bare = await ask("/site/"), await ask("/site/inner/"), await ask("/site/inner")
    top = await ask("/site")

    assert (home[2], inner[2]) == (b"<p>home", b"<p>inner")
    assert (bare[0], bare[1][b"location"]) == (301, b"inner/")
    assert (top[0], top[1][b"location"]) == (301, b"site/")
    assert home[1][b"content-type"] == b"text/html; charset=utf-8"


@pytest.mark.parametrize(
    "target",
    [
        "/site/../outside.txt",
        "/site/%2e%2e/outside.txt",
        "/site/..%2foutside.txt",
        "/site/inner/../../outside.txt",
        "/site/link.txt",
        "/site/up/outside.txt",
        "/site/.secret",
        "/site/.git/config",
        "/site//style.css",
        "/site/style.css/x",
        "/site/none.txt",
        "/site/up/",
        "/site/" + "a" * 300,
    ],
)
async def test_nothing_outside_and_nothing_hidden_is_served(ask: Ask, target: str) -> None:
    status, _, body = await ask(target)

    assert status == 404
    assert b"outside" not in body
    assert b"hidden" not in body


async def test_text_is_compressed_for_clients_that_accept_it(ask: Ask) -> None:
    plain = await ask("/site/style.css")
    packed = [await ask("/site/style.css", accept_encoding="gzip") for _ in range(2)]
    tag = packed[0][1][b"etag"].decode()
    again = await ask("/site/style.css", accept_encoding="gzip", if_none_match=tag)
    part = await ask("/site/style.css", accept_encoding="gzip", range="bytes=0-3")

    assert plain[2] == TEXT.encode()
    assert all(gzip.decompress(each[2]) == plain[2] for each in packed)
    assert packed[0][1][b"content-encoding"] == b"gzip"
    assert {each[1][b"vary"] for each in (plain, *packed)} == {b"Accept-Encoding"}
    assert packed[0][1][b"etag"] != plain[1][b"etag"]
    assert (again[0], part[0], part[2]) == (304, 206, b"body")


async def test_a_changed_file_is_sent_as_it_is_now(ask: Ask, folder: Path) -> None:
    before = await ask("/site/style.css", accept_encoding="gzip")
    (folder / "style.css").write_text("changed" * 1000)

    after = await ask("/site/style.css", accept_encoding="gzip")

    assert gzip.decompress(after[2]) == b"changed" * 1000
    assert after[1][b"etag"] != before[1][b"etag"]


async def test_a_folder_may_need_a_role(ask: Ask, users: Accounts) -> None:
    key = new_key()
    confined = Credential("key", key.name, key.hash, frozenset({"viewer"}), ("crm.*",), True)
    await users.save(confined)

    assert (await ask("/inside/data.bin"))[0] == 401
    assert (await ask("/inside/data.bin", authorization=BASIC.decode()))[0] == 200
    assert (await ask("/inside/data.bin", authorization=f"Bearer {key.text}"))[0] == 403
    assert (await ask("/site/data.bin", "POST"))[0] == 405


def test_a_wrong_folder_or_path_is_a_mistake_of_the_settings(folder: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        open_static(folder, "/x", Static("none"))
    with pytest.raises(ConfigError, match="not a valid path"):
        open_static(folder, "/dashboard", Static("inner"))
    with pytest.raises(ConfigError, match="not a valid path"):
        open_static(folder, "x", Static("inner"))

    assert open_static(folder, "/x", Static("inner", "anybody")).role is None


async def test_settings_serve_a_folder_and_permit_an_origin(folder: Path, tmp_path: Path) -> None:
    text = '[server]\nport = 0\ngrace = 0\ncors_origins = ["https://app.example"]\n'
    text += '[server.folders]\n"/site" = {folder = "static", role = "anybody"}\n'
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text(text)
    (tmp_path / "services").mkdir()
    environ = {"ZATO_LITE_ADMIN_PASSWORD": "secret"}
    settings = load_project(tmp_path, store="sqlite:///:memory:", reload=False)

    async with (
        open_app(tmp_path, settings) as app,
        open_server(app, environ) as server,
    ):
        run = Running(server)
        got = await asked(run, "/site/data.bin", "GET", {"Origin": "https://app.example"})
        run.clients[0].writer.close()

    assert got[2] == b"0123456789"
    assert got[1][b"access-control-allow-origin"] == b"https://app.example"


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "https://*.example"])
def test_an_origin_that_is_not_valid_is_a_mistake_of_the_settings(
    tmp_path: Path, origin: str
) -> None:
    path = tmp_path / "zato-lite.toml"
    path.write_text(f'[server]\ncors_origins = ["{origin}"]\n')

    with pytest.raises(ConfigError, match="cors_origins"):
        load(path, {})
