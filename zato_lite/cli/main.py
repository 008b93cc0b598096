"""The command ``zato-lite``.

Each command imports what it needs when it runs, so that ``--help`` is quick.
"""

import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from zato_lite import __version__
from zato_lite.cli.database import db
from zato_lite.cli.options import project as _project
from zato_lite.cli.options import store as _store
from zato_lite.errors import BadInputError, ConfigError, UnauthorizedError, ZatoLiteError

_WORKER = "ZATO_LITE_IS_WORKER"
_IN_PROCESS_LIST = (
    "a password among the arguments is in the list of processes; use --password-file,"
    " ZATO_LITE_ADMIN_PASSWORD or the prompt"
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zato-lite")
def cli() -> None:
    """Async microservices over HTTP, with a durable scheduler inside."""


cli.add_command(db)


@cli.command()
@_project
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on; 0 chooses a free one.  [default: 17010]",
)
@_store
@click.option(
    "--reload/--no-reload",
    default=None,
    help="Deploy services when their files change.  [default: reload]",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Number of processes.  [default: 1]")
@click.option(
    "--dev", is_flag=True, help="Develop: reload, pretty log of each request, errors to admins."
)
def serve(project: Path, workers: int | None, dev: bool, **options: Any) -> None:
    """Serve a project: answer HTTP requests and run its jobs."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the imports take a while; SIGHUP ends nothing
    from zato_lite import main as server_main  # noqa: PLC0415 - keeps --help quick
    from zato_lite.config import for_development, load_project  # noqa: PLC0415

    settings = load_project(project, workers=workers, **options)
    if dev or settings.server.dev:
        settings = for_development(settings, reloads=options["reload"] is not False)
    _require_project(project, settings)
    if settings.server.workers > 1 and _WORKER not in os.environ:
        sys.exit(_serve_many(settings.server))
    sys.exit(server_main.run(project.resolve(), settings))


def _require_project(folder: Path, settings: Any) -> None:
    """Refuse a folder that holds no project."""
    from zato_lite.config import PLACE  # noqa: PLC0415

    parts = (settings.services.folder, PLACE, settings.scheduler.jobs_file)
    if not any((folder / part).exists() for part in parts):
        raise ConfigError(
            f"project not found in {folder.resolve()}: neither {parts[0]}/ nor {parts[1]}; "
            "create one with: zato-lite init FOLDER"
        )


def _serve_many(server: Any) -> int:
    """Start workers with the same arguments; the environment marks them as workers."""
    from zato_lite.cli.prefork import serve as serve_many  # noqa: PLC0415

    if not server.port or server.unix_socket:
        raise ConfigError(
            "[server] workers > 1 needs a fixed TCP port; port 0 and unix_socket cannot be shared"
        )
    os.environ[_WORKER] = "1"
    arguments = sys.argv[sys.argv.index("serve") + 1 :]
    return serve_many(arguments, server)


@cli.command()
@_project
def check(project: Path) -> None:
    """Check a project and list all mistakes.

    Opens the project as serve does, but in memory. Exits with status 1 if there are mistakes.
    """
    from zato_lite.check import check as find_mistakes  # noqa: PLC0415
    from zato_lite.config import Settings, load_project  # noqa: PLC0415

    settings = Settings()
    with suppress(ConfigError):  # which find_mistakes reports
        settings = load_project(project)
    _require_project(project, settings)
    logging.getLogger("zato_lite").addHandler(logging.NullHandler())  # printed below instead
    mistakes, services = find_mistakes(project.resolve())
    for mistake in mistakes:
        click.echo(mistake, err=True)
    click.echo(f"{services} services, {len(mistakes)} mistakes")
    sys.exit(1 if mistakes else 0)


@cli.command()
@click.argument("cid")
@click.argument("files", nargs=-1, type=click.File("r", encoding="utf-8", errors="replace"))
@_project
@click.option("--json", "as_json", is_flag=True, help="Print the lines as they are.")
def log(cid: str, files: tuple[Any, ...], project: Path, *, as_json: bool) -> None:
    """Show the log lines of an invocation by its CID.

    Lines of all that it invoked are included. Reads the lines that servers of the project have
    kept (see [log] folder and keep_mb), or FILES: JSON logs, - for standard input. Exits with
    status 1 if there are none.
    """
    from zato_lite.cli.log import found, readable  # noqa: PLC0415
    from zato_lite.config import load_project  # noqa: PLC0415

    folder = project / load_project(project).log.folder
    lines = found(cid, files, folder)
    for line in lines:
        click.echo(line if as_json else readable(line))
    if not lines:
        places = ", ".join(file.name for file in files) or str(folder)
        click.echo(f"zato-lite: no line with cid {cid} in {places}", err=True)
        sys.exit(1)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
def init(folder: Path) -> None:
    """Create a project in FOLDER, with a service, settings and a job."""
    from zato_lite.cli.project import create  # noqa: PLC0415

    for path in create(folder):
        click.echo(path)
    enter = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    click.echo(f"\nNext: {enter}zato-lite serve")


@cli.command()
@click.argument("service")
@click.argument("payload", default="")
@_project
@click.option("--url", help="URL of the server.  [default: from the project's settings]")
@click.option("--user", default="admin.invoke", show_default=True, help="User name.")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    help="File with the password; ZATO_LITE_ADMIN_PASSWORD[_FILE] or a prompt by default.",
)
@click.option("--password", hidden=True)
def invoke(
    service: str,
    payload: str,
    *,
    project: Path,
    url: str | None,
    user: str,
    password_file: Path | None,
    password: str | None,
) -> None:
    """Invoke a service of a running server.

    SERVICE is its name, PAYLOAD its input as JSON, or - to read it from stdin. The response is
    printed. All users of this machine can see the arguments of a command: send secrets by stdin.
    """
    from zato_lite import config  # noqa: PLC0415
    from zato_lite.cli.client import call, find_password, readable, url_of  # noqa: PLC0415

    if password is not None:
        raise BadInputError(f"--password: {_IN_PROCESS_LIST}")
    url = url or url_of(config.load(project / config.PLACE).server)
    if payload == "-":
        payload = sys.stdin.read()
        found = find_password(os.environ, password_file)
    else:
        found = find_password(os.environ, password_file) or _ask_for_password()
    if not found:
        raise UnauthorizedError(
            "password missing; use --password-file or ZATO_LITE_ADMIN_PASSWORD"
        )
    status, answer = call(url, user, found, service, payload)
    is_error = status >= 400  # noqa: PLR2004
    is_read = (sys.stderr if is_error else sys.stdout).isatty()
    click.echo(readable(answer) if is_read else answer, err=is_error)
    sys.exit(1 if is_error else 0)


def _ask_for_password() -> str | None:
    """Return the password that a person types; None without a terminal."""
    if not sys.stdin.isatty():
        return None
    password: str = click.prompt("Password", hide_input=True)
    return password


def main(*arguments: Any) -> None:
    """Run the command; print an expected error in one line and exit with status 2."""
    try:
        cli(*arguments, prog_name="zato-lite")
    except (ZatoLiteError, OSError) as error:  # OSError: a file or folder cannot be used
        click.echo(f"zato-lite: {error}", err=True)
        sys.exit(2)
