"""Tests of notifications while their connection is refused."""

from threading import Event, Thread

import pytest

from zato_lite.errors import ZatoLiteError
from zato_lite.store import bell as module
from zato_lite.store.bell import Bell
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
