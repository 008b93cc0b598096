import gzip
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from zato_lite.dashboard.pages import (
    STATIC,
    dashboard_routes,
    digest_of,
    read_files,
    start_of,
)
from zato_lite.errors import NotFoundError
from zato_lite.http.message import Request, Response
from zato_lite.http.router import Router
from zato_lite.http.routes import Route

Get = Callable[..., Awaitable[Response]]


@pytest.fixture(scope="module")
def router() -> Router:
    router = Router()
    router.add(dashboard_routes())
    return router


@pytest.fixture
def get(router: Router) -> Get:
    async def ask(path: str, query: bytes = b"", **headers: str) -> Response:
        fields = {k.replace("_", "-").encode(): v.encode() for k, v in headers.items()}
        route = router.find("GET", path)
        assert isinstance(route, Route)
        request = Request("GET", path, query, fields, raw_path=path)
        return await route.handler(request, None)

    return ask


def linked(page: Response) -> list[str]:
    return re.findall(r'(?:href|src)="([^"]+)"', page.body.decode())


@pytest.mark.parametrize("path", ["/dashboard/", "/dashboard/jobs", "/dashboard/jobs/7/runs/812"])
async def test_every_page_gets_the_document_and_its_files_behind_any_prefix(
    get: Get, path: str
) -> None:
    page = await get(path)

    addresses = linked(page)
    assert page.status == 200
    assert len(addresses) > 5
    for address in addresses:
        parts = (path.rpartition("/")[0] + "/" + address).split("/")
        while ".." in parts:
            at = parts.index("..")
            del parts[at - 1 : at + 1]
        found = await get("/".join(parts))
        assert (address, found.status, len(found.body) > 50) == (address, 200, True)
    assert not [address for address in addresses if address.startswith(("/", "http"))]


async def test_the_policy_permits_nothing_but_own_files(get: Get) -> None:
    fields = dict((await get("/dashboard/")).headers)

    policy = fields["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src")
    for rule in (
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ):
        assert rule in policy
    assert "unsafe" not in policy
    assert fields["Cache-Control"] == "no-cache"


async def test_files_are_compressed_and_kept_for_ever(get: Get, router: Router) -> None:
    [path] = [r.path for r in router.routes if re.search(r"[0-9a-f]/main\.js$", r.path)]

    plain, packed = await get(path), await get(path, accept_encoding="gzip")
    tag = dict(packed.headers)["ETag"]
    again = await get(path, accept_encoding="gzip", if_none_match=tag)

    assert gzip.decompress(packed.body) == plain.body == (STATIC / "main.js").read_bytes()
    assert "immutable" in dict(packed.headers)["Cache-Control"]
    assert dict(packed.headers)["Vary"] == "Accept-Encoding"
    assert (again.status, again.body) == (304, b"")


async def test_a_file_of_another_version_is_not_found(get: Get) -> None:
    for path in ("/dashboard/static/0123456789abcdef/main.js", "/dashboard/static/x"):
        with pytest.raises(NotFoundError):
            await get(path)
    with pytest.raises(NotFoundError):
        await get("/dashboard/" + "a/" * 20)


async def test_the_address_without_a_slash_leads_to_the_one_with_it(get: Get) -> None:
    answer = await get("/dashboard", b"span=4h")

    assert (answer.status, dict(answer.headers)["Location"]) == (308, "dashboard/?span=4h")


def test_the_digest_changes_with_each_file(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_text("1")
    before = digest_of(read_files(tmp_path))
    (tmp_path / "b.css").write_text("b {}")
    (tmp_path / "a.css").write_text("a {}")
    files = read_files(tmp_path)

    assert files["dashboard.css"] == b"a {}\nb {}"
    assert len({before, digest_of(files), digest_of({**files, "a.js": b"2"})}) == 3


def test_own_modules_are_small_and_load_nothing_from_elsewhere() -> None:
    modules = [p for p in STATIC.rglob("*.js") if p.parent.name not in {"vendor", "dist"}]

    for module in modules:
        text = module.read_text()
        assert (module.name, len(text.splitlines()) <= 300) == (module.name, True)
        imports = re.findall(r'(?:from|import\() ?"([^"]+)"', text)
        assert [name for name in imports if not name.startswith((".", "/"))] == []
        for word in ("innerHTML", "eval(", "dangerously", "new Function", "http://", "https://"):
            assert (module.name, word, word in text) == (module.name, word, False)
    assert len(modules) > 10


def test_the_first_load_is_small() -> None:
    files = read_files(STATIC)
    bundle = json.loads(files["dist/BUNDLE.json"])

    first = ["dashboard.css", *bundle["preload"]]

    assert sum(len(gzip.compress(files[name])) for name in first) <= 60_000
    assert len(first) <= 10


def test_joined_modules_are_used_only_while_they_belong_to_their_sources(tmp_path: Path) -> None:
    sources = {"main.js": b"1", "core/api.js": b"2", "vendor/vendor.js": b"3"}
    digest = hashlib.sha256()
    for name, body in sorted(sources.items()):
        digest.update(f"{name}\0{len(body)}\0".encode() + body)
    about = {"sources": digest.hexdigest(), "preload": ["dist/main.js", "dist/a.js"]}
    files = {**sources, "dist/main.js": b"4", "dist/BUNDLE.json": json.dumps(about).encode()}

    assert start_of(files) == ("dist/main.js", ("dist/main.js", "dist/a.js"))
    changed = start_of({**files, "core/api.js": b"22"})
    assert changed == ("main.js", ("main.js", "core/api.js", "vendor/vendor.js"))
    assert start_of(sources) == changed


async def test_browsers_get_the_dashboard_s_icon_for_pages_without_one() -> None:
    [route] = [route for route in dashboard_routes() if route.path == "/favicon.ico"]

    icon = await route.handler(Request("GET", "/favicon.ico", b"", {}), None)

    assert (icon.status, icon.content_type) == (200, "image/svg+xml")
    assert icon.body == (STATIC / "icon.svg").read_bytes()
    assert (route.role, route.is_fallback) == (None, True)
