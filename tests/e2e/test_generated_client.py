"""The OpenAPI document of all services is valid; a client generated from it calls them."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from tests.http.shop import SERVICES
from zato_lite.config import Server, Settings, Store
from zato_lite.server import open_server
from zato_lite.testing.app import sandbox

httpx = pytest.importorskip("httpx", reason="make dev installs it")
pytest.importorskip("openapi_python_client", reason="make dev installs it")
validate = pytest.importorskip("openapi_spec_validator", reason="make dev installs it").validate

SETTINGS = Settings(store=Store("sqlite:///:memory:"), server=Server(port=0, grace=0.0))
NAME, PASSWORD = "admin.invoke", "secret"
CUSTOMER = uuid.UUID("7f9c24e8-3b12-4c5f-9a8e-1d2c3b4a5f60")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder from which modules can be imported."""
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path.remove(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "generated"]:
        del sys.modules[name]


def generate(folder: Path, document: bytes) -> str:
    """Generate the package ``generated``; return the warnings."""
    (folder / "openapi.json").write_bytes(document)
    beside = str(Path(sys.executable).parent)
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [
            *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
            *("--path", str(folder / "openapi.json")),
            *("--output-path", str(folder / "generated")),
        ],
        capture_output=True,
        check=True,
        text=True,
        env={**os.environ, "PATH": f"{beside}:{os.environ['PATH']}"},
    )
    return done.stdout + done.stderr


def call(name: str) -> Any:
    return import_module(f"generated.api.{name}").asyncio_detailed


@pytest.mark.filterwarnings("ignore:Setting per-request cookies")  # of the generated code
async def test_a_generated_client_calls_the_services(folder: Path) -> None:
    environ = {"ZATO_LITE_ADMIN_PASSWORD": PASSWORD}
    async with (
        sandbox(*SERVICES, settings=SETTINGS) as box,
        open_server(box.app, environ) as server,
        httpx.AsyncClient(base_url=server.url, auth=(NAME, PASSWORD)) as transport,
    ):
        document = (await transport.get("/openapi.json")).content
        validate(json.loads(document))
        told = generate(folder, document)
        generated = import_module("generated.client")
        client = generated.Client(base_url=server.url).set_async_httpx_client(transport)
        models: Any = import_module("generated.models")

        found = await call("shop.shop_find_orders")(
            CUSTOMER, client=client, since=date(2026, 5, 1), limit=3, tags=["a", "b"]
        )
        wrong = await call("shop.shop_find_orders")(
            CUSTOMER, client=client, since=date(2026, 5, 1), limit=1000
        )
        body = models.ShopChangeOrderChangeBody(lines=[models.Line("x", 2)])
        changed = await call("shop.shop_change_order_put")(
            4,
            client=client,
            body=body,
            draft=True,
            x_token="t",  # noqa: S106 - of no account
        )
        lines = await call("shop.shop_add_lines")(4, client=client, body=[models.Line("y")])
        person = await call("shop.shop_rename_get")(7, client=client, nicknames=["Al"])
        pong = await call("zato.zato_ping")(client=client, body={})

    assert "unable" not in told.lower()
    assert "warning" not in told.lower()
    assert found.status_code == 200
    assert found.parsed.criteria.additional_properties["tags"] == ["a", "b"]
    assert (wrong.status_code, wrong.parsed.errors[0].field) == (400, "limit")
    assert (changed.status_code, changed.headers["Location"]) == (201, "/orders/4")
    assert (changed.parsed.order.id, changed.parsed.order.lines[0].count) == (4, 2)
    assert (changed.parsed.is_draft, changed.parsed.token) == (True, "t")
    assert lines.parsed.lines[0].sku == "y"
    assert (person.parsed.id, person.parsed.nicknames) == (7, ["Al"])
    assert pong.status_code == 200
