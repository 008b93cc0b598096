"""``zato-lite db``: the store's file checked, copied and put back, with a server or without."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from zato_lite.cli.options import project as project_option

_store = click.option(
    "--store", help="Where jobs are kept.  [default: sqlite:///data/zato-lite.db]"
)
_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def _common(command: Callable[..., Any]) -> Callable[..., Any]:
    return project_option(_store(_as_json(command)))


@click.group()
def db() -> None:
    """Check, copy and restore the store's file."""


@db.command()
@_common
@click.option("--full", is_flag=True, help="Compare indexes with their tables too.")
def check(project: Path, store: str | None, as_json: bool, full: bool) -> None:
    """Say whether the file is sound.

    Exit status 1 if it is not.
    """
    from zato_lite import app  # noqa: PLC0415

    problems = app.check_store(project, app.settings(project, store=store), is_full=full)
    if as_json:
        click.echo(json.dumps({"is_ok": not problems, "problems": list(problems)}))
    else:
        click.echo("\n".join(problems) or "ok")
    sys.exit(1 if problems else 0)


@db.command()
@_common
@click.argument("target", required=False, type=click.Path(path_type=Path))
def backup(project: Path, store: str | None, as_json: bool, target: Path | None) -> None:
    """Copy the store to TARGET, a new file.

    That is so whether a server runs or not. Without TARGET: to a file named by the time, in
    data/backups of the project.
    """
    from zato_lite import app  # noqa: PLC0415
    from zato_lite.clock import SystemClock  # noqa: PLC0415

    made = app.back_up(project, app.settings(project, store=store), target, SystemClock())
    _tell(as_json, {"path": str(made), "size": made.stat().st_size}, str(made))


@db.command()
@_common
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(project: Path, store: str | None, as_json: bool, source: Path) -> None:
    """Put a backup in the store's place.

    No server may be using the store. What was there is kept beside it.
    """
    from zato_lite import app  # noqa: PLC0415
    from zato_lite.clock import SystemClock  # noqa: PLC0415

    kept = app.restore(project, app.settings(project, store=store), source, SystemClock())
    words = f"restored; what was there is kept as {kept}" if kept else "restored"
    _tell(as_json, {"kept": str(kept) if kept else None}, words)


def _tell(as_json: bool, found: dict[str, Any], words: str) -> None:
    click.echo(json.dumps(found) if as_json else words)
