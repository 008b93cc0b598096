import random
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.faults.crashes import Account, Life, crash_loop, killed_after, killed_at
from tests.faults.process import Server

CALLS = ("fdatasync", "pwrite64")


def account_of(folder: Path, lives: Iterable[Life], companion: Iterable[float] = ()) -> Account:
    server = Server(folder)
    try:
        return crash_loop(server, lives, companion)
    finally:
        server.kill()


@pytest.mark.e2e
def test_a_server_killed_under_load_loses_and_repeats_no_run(tmp_path: Path) -> None:
    dice = random.Random(1)

    account = account_of(tmp_path, [killed_after(dice.uniform(0.1, 0.8)) for _ in range(9)])

    assert account.violations == []
    assert account.forgotten == []
    assert account.fired > 20
    assert account.acknowledged > 20


@pytest.mark.slow
def test_a_server_killed_a_hundred_times_loses_and_repeats_no_run(tmp_path: Path) -> None:
    dice = random.Random(2)

    account = account_of(tmp_path, [killed_after(dice.uniform(0.1, 1.5)) for _ in range(100)])

    print(account)  # noqa: T201 - the figures
    assert account.violations == []
    assert account.forgotten == []


@pytest.mark.slow
def test_two_servers_killed_in_turns_lose_and_repeat_no_run(tmp_path: Path) -> None:
    dice = random.Random(3)
    lives = [killed_after(dice.uniform(0.1, 4)) for _ in range(25)]

    account = account_of(tmp_path, lives, (dice.uniform(0.1, 4) for _ in range(1_000)))

    print(account)  # noqa: T201 - the figures
    assert account.violations == []
    assert account.forgotten == []


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize("call", CALLS)
def test_a_server_killed_at_each_of_its_first_60_writes_loses_nothing(
    tmp_path: Path, call: str
) -> None:
    account = account_of(tmp_path, [killed_at(call, number) for number in range(1, 61)])

    print(account)  # noqa: T201 - the figures
    assert account.violations == []
    assert account.forgotten == []
