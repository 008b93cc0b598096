from pathlib import Path

from zato_lite.config import METRICS_FILE
from zato_lite.workers import Silence, sign_of


def test_a_worker_is_silent_from_the_last_change_of_its_sign() -> None:
    silence = Silence(7, now=100.0)

    found = [
        (silence.seconds(sign, now), silence.has_reported)
        for sign, now in [(7, 130.0), (8, 131.0), (8, 135.5)]
    ]

    assert found == [(30.0, False), (0.0, True), (4.5, True)]


def test_a_step_of_the_wall_clock_does_not_count_as_silence() -> None:
    silence = Silence(7_000, now=0.0)

    assert silence.seconds(3_000, 1.0) == 0.0
    assert silence.seconds(9_000_000, 2.0) == 0.0


def test_the_time_in_which_the_supervisor_stood_still_is_forgiven() -> None:
    silence = Silence(7, now=0.0)

    silence.forgive(60.0)

    assert silence.seconds(7, 61.0) == 1.0


def test_a_worker_finds_its_sign_beside_its_metrics() -> None:
    assert sign_of({METRICS_FILE: "/tmp/x/0.json"}) == Path("/tmp/x/0.alive")  # noqa: S108
    assert sign_of({}) is None
