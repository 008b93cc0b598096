"""The start journal: what a node after this one knows about attempts that were running."""

import os
from pathlib import Path

from zato_lite.store import journal
from zato_lite.store.journal import PLACES, Began, StartJournal, read_journal


def opened(path: Path) -> StartJournal:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        return StartJournal(file)
    finally:
        os.close(file)


def test_a_journal_has_the_attempts_that_began_and_those_that_ended(tmp_path: Path) -> None:
    written = opened(tmp_path / "j")
    places = [written.begin(token, token * 10) for token in (1, 2, 3)]
    written.end(places[1])
    written.end(places[2])
    written.clear(places[2])

    assert read_journal(tmp_path / "j") == {1: Began(10, True), 2: Began(20, False)}


def test_a_journal_of_another_boot_or_without_content_says_nothing(tmp_path: Path) -> None:
    opened(tmp_path / "j").begin(1, 1)
    content = bytearray((tmp_path / "j").read_bytes())
    content[0] ^= 1
    (tmp_path / "other-boot").write_bytes(content)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "cut").write_bytes(content[:100])

    for name in ("other-boot", "empty", "cut", "missing"):
        assert read_journal(tmp_path / name) is None


def test_a_full_journal_says_nothing_rather_than_half(tmp_path: Path) -> None:
    written = opened(tmp_path / "j")
    for token in range(1, PLACES + 1):
        assert written.begin(token, 1)
    assert len(read_journal(tmp_path / "j") or ()) == PLACES

    place = written.begin(PLACES + 1, 1)
    written.end(place)
    written.clear(place)

    assert place == 0
    assert read_journal(tmp_path / "j") is None


def test_places_are_used_again(tmp_path: Path) -> None:
    written = opened(tmp_path / "j")
    for token in range(1, 3 * PLACES):
        written.clear(written.begin(token, 1))

    assert read_journal(tmp_path / "j") == {}
    assert journal.PLACES >= 10_000  # the default capacity
