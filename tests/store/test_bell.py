"""Tests of notifications: while their connection is refused, and of the sockets' modes."""

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from zato_lite.errors import ZatoLiteError
from zato_lite.store import bell as module
from zato_lite.store.bell import Bell
from zato_lite.store.bell_files import FileBells
from zato_lite.store.postgres_url import parse

_PIPE_BYTES = 65_536


def test_rings_do_not_wait_while_the_connection_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> None:
        raise ZatoLiteError("too many connections")

    monkeypatch.setattr(module, "connect", refuse)
    stopping = Event()
    bell = Bell(parse("postgresql://ann@db/x"), stopping)

    ringing = Thread(target=_ring, args=(bell, _PIPE_BYTES + 1_000), daemon=True)
    ringing.start()
    ringing.join(30)
    is_done = not ringing.is_alive()

    assert is_done
    assert len(bell._rings) == 1_000
    stopping.set()
    bell.stop()


def _ring(bell: Bell, times: int) -> None:
    for number in range(times):
        bell.ring(str(number))


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.skipif(sys.platform != "linux", reason="a socket has a mode before it has a file")
@pytest.mark.usefixtures("open_umask")
async def test_a_socket_is_private_from_its_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o777)  # noqa: ASYNC240
    modes: list[int] = []
    change = Path.chmod

    def changed(path: Path, mode: int) -> None:
        modes.append(stat.S_IMODE(path.stat().st_mode))
        change(path, mode)

    monkeypatch.setattr(Path, "chmod", changed)
    bells = FileBells(lambda node: tmp_path / f"lock-{node}")

    bells.listen(1, lambda text: None)
    bells.silence(1)

    assert modes == [0o600]
