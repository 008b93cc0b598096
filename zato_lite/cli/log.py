"""``zato-lite log``: the log lines of one correlation id."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

import click

from zato_lite.cli.options import project as project_option
from zato_lite.cli.render import as_json as json_of
from zato_lite.config import load_project
from zato_lite.log import printable
from zato_lite.log_files import kept_files, lines_with

_SHOWN = ("time", "level", "logger", "event", "cid", "arguments", "exception", "stack")


@click.command()
@click.argument("cid")
@click.argument("files", nargs=-1, type=click.File("r", encoding="utf-8", errors="replace"))
@project_option
@click.option("--json", "as_json", is_flag=True, help="Print the lines as JSON.")
def log(cid: str, files: tuple[Any, ...], project: Path, *, as_json: bool) -> None:
    """Show the log lines of an invocation by its CID.

    Lines of all that it invoked are included. Reads the lines that servers of the project have
    kept (see [log] folder and keep_mb), or FILES: JSON logs, - for standard input. Exits with
    status 1 if there are none.
    """
    folder = project / load_project(project).log.folder
    lines = found(cid, files, folder)
    for line in lines:
        click.echo(json_of(line) if as_json else readable(line))
    if not lines:
        places = ", ".join(file.name for file in files) or str(folder)
        click.echo(f"zato-lite: no line with cid {cid} in {places}", err=True)
        sys.exit(1)


def found(cid: str, files: Iterable[TextIO], folder: Path) -> list[dict[str, Any]]:
    """Return the lines with the id, in the order of their times, from files or from a folder."""
    lines = [line for source in files or _opened(folder) for line in lines_with(cid, source)]
    return sorted(lines, key=lambda line: str(line.get("time", "")))


def readable(line: Mapping[str, Any]) -> str:
    """Return a line for reading, followed by its traceback, without control characters."""
    fields = "".join(f" {name}={value}" for name, value in line.items() if name not in _SHOWN)
    level, logger = str(line.get("level", "")).upper(), line.get("logger", "")
    arguments = f" {line['arguments']}" if "arguments" in line else ""
    shown = (
        f"{line.get('time', '')} {level:<7} {logger}: {line.get('event', '')}{arguments}{fields}"
    )
    parts = [shown, *(str(line[name]) for name in ("exception", "stack") if name in line)]
    return printable("\n".join(parts))


def _opened(folder: Path) -> Iterator[TextIO]:
    for path in kept_files(folder):
        with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as file:
            yield file
