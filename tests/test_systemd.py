import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from zato_lite.systemd import notify, watchdog_interval


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(5)
        yield listener


def test_a_state_reaches_the_service_manager(manager: socket.socket, tmp_path: Path) -> None:
    manager.bind(str(tmp_path / "notify"))

    assert notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "notify")})

    assert manager.recv(100) == b"READY=1"


def test_an_abstract_socket_is_reached_too(manager: socket.socket) -> None:
    manager.bind(f"\0zato-lite-{os.getpid()}")

    assert notify("WATCHDOG=1", {"NOTIFY_SOCKET": f"@zato-lite-{os.getpid()}"})

    assert manager.recv(100) == b"WATCHDOG=1"


def test_without_a_service_manager_nothing_is_sent(tmp_path: Path) -> None:
    assert not notify("READY=1", {})
    assert not notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_a_watchdog_is_fed_twice_in_its_time(
    environ: dict[str, str], interval: float | None
) -> None:
    assert watchdog_interval(environ) == interval
