"""Real servers over a store with a broken index: refused at the start, or not ready."""

import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from tests.faults.process import Server
from tests.faults.test_restarts import wait_until
from tests.store.damage import damage

pytestmark = pytest.mark.e2e


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.start()
    made.stop()
    yield made
    made.kill()


def readyz(server: Server) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        return response.status, json.loads(response.read())["reasons"]
    finally:
        connection.close()


def logged(server: Server, event: str) -> list[Any]:
    lines = [line for line in server.output.read_text().splitlines() if line.startswith("{")]
    return [found for line in lines if (found := json.loads(line))["event"] == event]


def test_a_store_with_a_broken_index_is_refused_with_a_remedy(server: Server) -> None:
    damage(server.database, "timer_next")

    server.launch()
    process = server.process
    server.wait(10)

    assert process is not None
    assert process.returncode not in {0, None}
    told = server.output.read_text().splitlines()[-1]
    assert "is damaged" in told
    assert "zato-lite db restore" in told


def test_a_big_store_with_a_broken_index_is_not_ready_and_does_not_fill_the_log(
    server: Server,
) -> None:
    filler = apsw.Connection(str(server.database))
    filler.execute("INSERT INTO setting VALUES ('filler', zeroblob(10000000))")
    filler.close()
    damage(server.database, "timer_next")

    server.start()
    wait_until(lambda: len(readyz(server)[1]) == 2)
    wait_until(lambda: len(logged(server, "work failed")) >= 3)  # the first, second and fourth

    status, reasons = readyz(server)
    assert status == 503
    assert "restore a backup" in reasons["store"]
    assert "runs cannot be claimed" in reasons["scheduler"]
    told = [
        line["so_far"] for line in logged(server, "work failed") if "scheduler" in line["work"]
    ]
    assert told == sorted(set(told))
    assert set(told) <= {1, 2, 4, 8, 16}
    assert len(logged(server, "store damaged")) <= 2  # found by an operation and by the check
