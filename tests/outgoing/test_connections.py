import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.outgoing.upstream import Answer, Upstream, serving
from zato_lite.errors import ConfigError, UnknownConnectionError
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing.settings import require
from zato_lite.outgoing_config import Outgoing, Rest


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with serving() as found:
        yield found


def rest(url: str, **settings: object) -> Outgoing:
    return Outgoing(rest={"crm": Rest(url, **settings)})  # type: ignore[arg-type]


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    connections = Connections(fakes={"rest.crm": str, "rest.billing": str})
    connections.replace(Outgoing())

    with pytest.raises(UnknownConnectionError, match=r"rest.cmr\] is not .*: billing, crm"):
        connections.rest["cmr"]


@pytest.mark.parametrize("place", ["rst.crm", "redis.cache", "rest"])
def test_a_fake_of_no_kind_is_refused(place: str) -> None:
    with pytest.raises(ConfigError, match=f"outgoing: '{place}' is not valid; use rest.NAME"):
        Connections(fakes={place: str})


def test_a_missing_library_is_named_with_its_extra() -> None:
    with pytest.raises(ConfigError, match=r"no_such_one is not installed; pip install .*\[http\]"):
        require("no_such_one", "http")


async def test_all_mistakes_are_reported_and_nothing_changes(upstream: Upstream) -> None:
    connections = Connections()
    connections.replace(rest(upstream.url))
    before = connections.rest["crm"]
    wrong = Outgoing(rest={"crm": Rest("x"), "billing": Rest("y")})

    with pytest.raises(ConfigError) as caught:
        connections.replace(wrong)

    assert [line.split("]")[0] for line in str(caught.value).splitlines()] == [
        "[outgoing.rest.crm", "[outgoing.rest.billing",
    ]  # fmt: skip
    assert connections.rest["crm"] is before
    await connections.close()


async def test_a_connection_is_replaced_only_if_its_settings_or_files_changed(
    upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("one\n")
    settings = rest(upstream.url, auth="bearer", secret_file="token")  # noqa: S106
    connections = Connections(tmp_path)
    connections.replace(settings)
    before = connections.rest["crm"]

    assert connections.replace(settings) == []
    (tmp_path / "token").write_text("two\n")
    old = connections.replace(settings)

    assert old == [before]
    connection = connections.rest["crm"].begin()
    await connection.send(connection.request("GET", "/", None))
    assert upstream.request.headers["authorization"] == "Bearer two"
    await connections.retire(old)
    await connections.close()


async def test_a_replaced_connection_is_closed_after_its_last_user(upstream: Upstream) -> None:
    upstream.answers = [Answer(after=0.05)]
    connections = Connections()
    connections.replace(rest(upstream.url))
    shared = connections.rest["crm"]
    connection = shared.begin()
    request = asyncio.ensure_future(connection.send(connection.request("GET", "/", None)))

    await connections.retire(connections.replace(Outgoing()))
    response = await request

    assert response.ok
    assert shared.end()
    await shared.close()
    for _ in range(200):
        if not upstream.connections:
            break
        await asyncio.sleep(0.01)
    assert upstream.connections == 0


@pytest.mark.e2e
def test_the_server_imports_no_client_that_is_not_configured() -> None:
    code = (
        "import sys, zato_lite.main, zato_lite.testing.app;"
        "print([m for m in ('pyreqwest', 'sqlalchemy', 'redis', 'aiosmtplib', 'cryptography')"
        " if m in sys.modules])"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)  # noqa: S603

    assert found.stdout.strip() == b"[]"
