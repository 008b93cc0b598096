"""``zato-lite serve`` and ``zato-lite check``: a project's server, and what is wrong with it."""

import logging
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from zato_lite.cli.options import project as _project
from zato_lite.cli.options import store as _store
from zato_lite.cli.render import Result
from zato_lite.cli.verb import printing
from zato_lite.errors import ConfigError

_WORKER = "ZATO_LITE_IS_WORKER"


@click.command()
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
    """Serve a project: answer requests and run its jobs."""
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


@click.command()
@_project
@printing
def check(project: Path) -> Result:
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
    return Result(
        {"services": services, "mistakes": mistakes},
        text=f"{_count(services, 'service')}, {_count(len(mistakes), 'mistake')}",
        status=int(bool(mistakes)),
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
