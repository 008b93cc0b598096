"""Progress bar of a move, on a terminal only."""

from typing import Any, Self, TextIO

import click


class Bar:
    """Bar that grows with the rows that are copied, and with those that are verified."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._bar: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.render_finish()

    def report(self, step: str, rows: int) -> None:
        """Show that a step has been made for this many rows."""
        if step == "found" and self._file.isatty():
            self._bar = click.progressbar(length=2 * rows, label="moving", file=self._file)
            self._bar.render_progress()
        elif self._bar is not None and rows:
            self._bar.label = step
            self._bar.update(rows)
