"""Workers' signs of life: files that each worker touches, and that their supervisor reads."""

from collections.abc import Mapping
from pathlib import Path

from zato_lite.config import METRICS_FILE


def sign_of(environ: Mapping[str, str]) -> Path | None:
    """Return the file that this worker touches each second; None without a supervisor."""
    path = environ.get(METRICS_FILE)
    return sign_beside(path) if path else None


def sign_beside(metrics: str) -> Path:
    """Return the sign of life of the worker that has this file of metrics."""
    return Path(metrics).with_suffix(".alive")


class Silence:
    """The time for which a worker has shown no sign of life, by its supervisor's clock.

    A sign counts when it changes, so that steps of the wall clock do not matter.

    Attributes:
        has_reported: the worker has shown a sign since its start.
    """

    def __init__(self, sign: int, now: float) -> None:
        self._sign, self._at = sign, now
        self.has_reported = False

    def seconds(self, sign: int, now: float) -> float:
        """Return the seconds since the sign, its file's modification time, changed last."""
        if sign != self._sign:
            self.has_reported = True
            self._sign, self._at = sign, now
        return now - self._at

    def forgive(self, now: float) -> None:
        """Begin again, after the supervisor itself stood still."""
        self._at = now
