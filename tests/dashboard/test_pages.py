import gzip
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from zato_lite.dashboard.pages import STATIC, dashboard_routes, digest_of, read_files
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
    assert len(addresses) > 10
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
    paths = [route.path for route in router.routes if route.path.endswith("main.js")]

    [path] = paths
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
    modules = [path for path in STATIC.rglob("*.js") if path.parent.name != "vendor"]

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
    first = {
        name: body
        for name, body in files.items()
        if name.startswith("core/")
        or name in {"main.js", "dashboard.css", "vendor/vendor.js", "pages/overview.js"}
    }

    assert sum(len(gzip.compress(body)) for body in first.values()) <= 60_000
