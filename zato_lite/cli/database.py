"""``zato-lite db``: checks, copies, restores and moves the store, with or without a server."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from zato_lite.cli.options import project as project_option
from zato_lite.cli.options import store as store_option
from zato_lite.cli.options import without_password
from zato_lite.cli.progress import Bar
from zato_lite.cli.render import Result
from zato_lite.cli.verb import printing
from zato_lite.errors import ConfigError


def _common(command: Callable[..., Result]) -> Callable[..., Any]:
    return project_option(store_option(printing(command)))


@click.group()
def db() -> None:
    """Check, copy, restore and move the store."""


@db.command()
@_common
@click.option("--full", is_flag=True, help="Compare indexes with their tables too.")
def check(project: Path, store: str | None, full: bool) -> Result:
    """Check the integrity of the store.

    Exits with status 1 if it is damaged. Of a database of PostgreSQL, --full reads all rows;
    pg_amcheck compares its indexes with their tables.
    """
    from zato_lite.config import load_project  # noqa: PLC0415 - keeps --help quick
    from zato_lite.store.opening import check_store  # noqa: PLC0415

    problems = check_store(project, load_project(project, store=store).store, is_full=full)
    data = {"is_ok": not problems, "problems": list(problems)}
    return Result(data, text="\n".join(problems) or "ok", status=int(bool(problems)))


@db.command()
@_common
@click.argument("target", required=False, type=click.Path(path_type=Path))
def backup(project: Path, store: str | None, target: Path | None) -> Result:
    """Copy the store to TARGET, a new file.

    Works while a server is running. Without TARGET, the copy is made in data/backups of the
    project and named by the current time.
    """
    from zato_lite.clock import SystemClock  # noqa: PLC0415
    from zato_lite.config import load_project  # noqa: PLC0415
    from zato_lite.store.backup import backup_name, copy_file  # noqa: PLC0415
    from zato_lite.store.location import existing_file_of  # noqa: PLC0415

    settings = load_project(project, store=store).store
    _refuse_postgres(settings.url, "pg_dump --format=custom --file=TARGET DATABASE")
    path = existing_file_of(project, settings.url)
    made = target or project / settings.backups / backup_name(SystemClock().now())
    copy_file(path, made)
    return Result({"path": str(made), "size": made.stat().st_size}, text=str(made))


@db.command()
@_common
@click.argument("source", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def restore(project: Path, store: str | None, source: Path) -> Result:
    """Replace the store by the backup SOURCE.

    Stop all servers of the store first. The replaced file is kept beside the store.
    """
    from zato_lite.clock import SystemClock  # noqa: PLC0415
    from zato_lite.config import load_project  # noqa: PLC0415
    from zato_lite.store.backup import restore_file, timestamp  # noqa: PLC0415
    from zato_lite.store.location import file_of  # noqa: PLC0415

    url = load_project(project, store=store).store.url
    _refuse_postgres(url, "pg_restore --clean --if-exists --dbname=DATABASE SOURCE")
    path = file_of(project, url)
    existed = path.exists()
    aside = path.with_name(f"{path.name}.before-{timestamp(SystemClock().now())}")
    restore_file(path, source, aside)
    text = f"restored; the replaced file is {aside}" if existed else "restored"
    return Result({"kept": str(aside) if existed else None}, text=text)


@db.command("migrate-to")
@_common
@click.option("--undo", is_flag=True, help="Make a store usable again that was moved.")
@click.argument("url", required=False, callback=without_password)
def migrate_to(project: Path, store: str | None, undo: bool, url: str | None) -> Result:
    """Move the store to URL: from SQLite to PostgreSQL, or back.

    Stop all servers first. URL is postgresql://USER@HOST/DATABASE, whose schema is empty, or
    sqlite:///PATH of a new file; its password comes from ZATO_LITE_STORE__PASSWORD, PGPASSWORD or
    [store] password_file. All rows are compared before the move is committed. Then no server
    starts on the old store any more. An interrupted move is repeated by the same command.
    """
    from zato_lite.clock import SystemClock  # noqa: PLC0415
    from zato_lite.config import load_project  # noqa: PLC0415
    from zato_lite.store.moving import move_store, undo_move  # noqa: PLC0415

    if undo == (url is not None):
        raise click.UsageError("give either URL or --undo")
    settings = load_project(project, store=store).store
    if url is None:
        left = undo_move(project, settings)
        text = f"the store is usable again; start no server on {left} any more"
        return Result({"moved_to": left}, text=text if left else "the store was not moved")
    with Bar(sys.stderr) as bar:
        moved = move_store(project, settings, url, SystemClock().now(), bar.report)
    result = {"rows": moved.rows, "was_moved_before": moved.was_moved_before}
    return Result(result, text=_moved_words(moved, url))


def _moved_words(moved: Any, url: str) -> str:
    next_step = f"set [store] url = '{url}' in config/zato-lite.toml, and start the server"
    if moved.was_moved_before:
        return f"the store was moved before; {next_step}"
    rows = moved.rows
    words = f"{sum(rows.values())} rows moved, {rows['job']} jobs and {rows['run']} runs"
    return f"{words} among them; {next_step}"


def _refuse_postgres(url: str, command: str) -> None:
    """Refuse a store that is not a file.

    Raises:
        ConfigError: the URL means a database of PostgreSQL.
    """
    from zato_lite.store.postgres_url import is_postgres, shown  # noqa: PLC0415

    if is_postgres(url):
        words = "is a database of PostgreSQL, not a file; use its own program"
        raise ConfigError(f"[store] url: {shown(url)} {words}: {command}")
