"""``zato-lite top``: what runs and what is next, redrawn again and again."""

import shutil
import sys
import time
from typing import Any

import click

from zato_lite.cli.jobs import JOB, JOBS, RUNS
from zato_lite.cli.render import Column, Result, Screen, render
from zato_lite.cli.state import STATUS
from zato_lite.cli.verb import Session, verb

_ROWS = 10
_TROUBLE = (Column("job", "job_name"), Column("trouble", "kind"), Column("why", "sentence"))
_RUNNING = (RUNS[1], RUNS[2], Column("since", "actual_fire_time_iso", "when"), Column("service"))
_PARTS = (("status", STATUS), ("running", _RUNNING), ("next", JOBS[:5]), ("attention", _TROUBLE))
_HOME, _REST = "\x1b[H", "\x1b[K\n"


@verb(examples=("top", "top --every 5"))
@click.option(
    "--every",
    type=click.FloatRange(0.2),
    default=2.0,
    help="Seconds.  [default: 2]",
)
def top(session: Session, every: float) -> Result | None:
    """Show what runs and what is next, live.

    Ctrl+C ends it. In a pipe, and with -o, it is shown once.
    """
    if session.form is not None or not is_terminal():
        found = _state(session)
        return Result(found, text=click.unstyle(_screen(found, session.now, is_terminal=False)))
    click.clear()
    try:
        while True:
            text = _screen(_state(session), session.now, is_terminal=True)
            if click.get_current_context().color is False:  # NO_COLOR; click.echo is not used here
                text = click.unstyle(text)
            sys.stdout.write(_HOME + text.replace("\n", _REST) + "\x1b[J")
            sys.stdout.flush()
            pause(every)
    except KeyboardInterrupt:
        return None


def is_terminal() -> bool:
    """Return True if the output is a terminal."""
    return sys.stdout.isatty()


def pause(seconds: float) -> None:
    """Wait until the next screen."""
    time.sleep(seconds)


def _state(session: Session) -> dict[str, Any]:
    running = session.call("zato.scheduler.get-runs", outcomes=["running"], limit=_ROWS)
    listed = session.call(f"{JOB}.get-list", sort="next", page_size=_ROWS, include=["words"])
    return {
        "status": session.call("zato.scheduler.status"),
        "running": running["rows"],
        "next": [each for each in listed["rows"] if each["next_iso"]],
        "attention": session.call("zato.scheduler.get-attention", limit=_ROWS)["items"],
    }


def _screen(found: dict[str, Any], now: float, *, is_terminal: bool) -> str:
    """Return the parts as tables, as many lines as the terminal has."""
    size = shutil.get_terminal_size()
    screen = Screen(is_terminal, size.columns, now)
    parts = [
        f"{title.upper()}\n{render(Result(found[title], columns), 'table', screen)}"
        for title, columns in _PARTS
        if found[title]
    ]
    lines = "\n\n".join(parts).splitlines()
    return "\n".join(lines[: size.lines - 1] if is_terminal else lines)
