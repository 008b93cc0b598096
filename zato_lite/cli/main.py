"""The command ``zato-lite``: its commands, and the exit status of an error."""

import os
import sys
from typing import Any

import click

from zato_lite import __version__
from zato_lite.cli.lazy import Lazy, LazyGroup
from zato_lite.errors import ZatoLiteError

ERROR, WRONG, NO_ANSWER, NOT_ALLOWED, NOT_FOUND, CONFLICT, TIMEOUT = range(1, 8)
"""Exit statuses: the service failed; wrong input; the server cannot be reached or is not ready;
not allowed; not found; a conflict with the present state; a time limit has passed."""

_STATUSES = {
    401: NOT_ALLOWED, 403: NOT_ALLOWED, 404: NOT_FOUND, 405: WRONG, 409: CONFLICT, 413: WRONG,
    415: WRONG, 400: WRONG, 422: WRONG, 429: NO_ANSWER, 503: NO_ANSWER, 504: TIMEOUT,
}  # fmt: skip
"""Exit statuses by the HTTP statuses of errors."""

_COMMANDS = {
    "init": Lazy("project:init", "Create a project in FOLDER, with a service and a job."),
    "serve": Lazy("server:serve", "Serve a project: answer requests and run its jobs."),
    "check": Lazy("server:check", "Check a project and list all mistakes."),
    "job": Lazy("job_changes:job", "List, create, change, run and explain jobs."),
    "run": Lazy("runs:run", "List, show, cancel and retry runs."),
    "apply": Lazy("plan:apply", "Bring the jobs in line with a file."),
    "export": Lazy("plan:export", "Print all jobs as a file for apply."),
    "import": Lazy("plan:import_", "Read the jobs of another scheduler's file."),
    "simulate": Lazy("plan:simulate", "List the slots of the coming days."),
    "service": Lazy("services:service", "List and show services."),
    "calendar": Lazy("calendars:calendar", "List, show, create, change and delete calendars."),
    "user": Lazy("accounts:user", "List, create, change and delete users."),
    "key": Lazy("accounts:key", "List, create, change, rotate and revoke API keys."),
    "node": Lazy("state:node", "List the nodes of the store."),
    "scheduler": Lazy("state:scheduler", "Pause and resume the whole scheduler."),
    "status": Lazy("state:status", "Show the state of the scheduler."),
    "top": Lazy("top:top", "Show what runs and what is next, live."),
    "wait": Lazy("state:wait", "Wait for the server, or for the end of a run."),
    "doctor": Lazy("doctor:doctor", "Look for trouble, and say what to do."),
    "invoke": Lazy("invoke:invoke", "Invoke a service of a running server."),
    "mcp": Lazy("mcp:mcp", "Offer the services of a server to programs that speak MCP."),
    "log": Lazy("log:log", "Show the log lines of an invocation by its CID."),
    "db": Lazy("database:db", "Check, copy, restore and move the store."),
}


@click.group(
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="zato-lite")
def cli() -> None:
    """Async microservices over HTTP, with a durable scheduler inside."""


def main(*arguments: Any) -> None:
    """Run the command; print an expected error in one line, and exit with its status."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - closed by the shell
    try:
        cli(*arguments, prog_name="zato-lite", **colours())
    except (ZatoLiteError, OSError) as error:  # OSError: a file or folder cannot be used
        click.echo(f"zato-lite: {sentence_of(error)}", err=True)
        sys.exit(status_of(error))


def colours() -> dict[str, bool]:
    """Return the setting that NO_COLOR demands."""
    return {"color": False} if os.environ.get("NO_COLOR") else {}


def sentence_of(error: Exception) -> str:
    """Return the text of an error, whose control characters could change a terminal, escaped."""
    from zato_lite.cli.render import printed  # noqa: PLC0415 - only errors need it

    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return printed(f"{place}{error.strerror.lower()}")
    return printed(str(error))


def status_of(error: ZatoLiteError | OSError) -> int:
    """Return the exit status for an error."""
    if not isinstance(error, ZatoLiteError):
        return WRONG
    code: int | None = getattr(error, "code", None)
    if code is None and error.status == ZatoLiteError.status:
        return WRONG  # this machine's settings or store are wrong
    return _STATUSES.get(error.status if code is None else code, ERROR)
