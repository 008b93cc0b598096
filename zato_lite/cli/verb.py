"""Commands that ask a server: their common options, the session, and the output of the result."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click

from zato_lite import __version__
from zato_lite.cli.render import FORMATS, Result, Screen, render
from zato_lite.errors import (
    ConfigError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
    ZatoLiteError,
)

Function = Callable[..., Result | None]

_FIRST_POLL_S, _LAST_POLL_S = 0.1, 1.0


_PUBLIC_S, _VERSION_S = 10.0, 2.0
_MISSING = "password missing; use --password-file or ZATO_LITE_ADMIN_PASSWORD"
_FIRST_PASSWORD = "admin-password"  # noqa: S105 - the name of a file


class Session:
    """A server that a command asks, or the project's store where no server answers.

    Attributes:
        form: the format of the output; None for that of people.
    """

    def __init__(
        self, *, reads: bool = False, asks: bool = True, timeout: float = 3600, **options: Any
    ) -> None:
        given = {name: value for name, value in options.items() if value is not None}
        self._options = {**_DEFAULTS, **given}
        self._reads, self._asks, self._timeout = reads, asks, timeout
        self._found: Any = None
        self._is_offline = False
        self.form: str | None = "json" if options.get("as_json") else options.get("form")

    @property
    def project(self) -> Path:
        """The folder of the project."""
        folder: Path = self._options["project"]
        return folder

    @property
    def client(self) -> Any:
        """The connection to the server, opened when it is first used."""
        if self._found is None:
            self._found = self._connect()
        return self._found

    @property
    def url(self) -> str:
        """The URL of the server: as given, or by the project's settings."""
        from zato_lite import config  # noqa: PLC0415 - --help is quick
        from zato_lite.cli.client import url_of  # noqa: PLC0415

        given: str | None = self._options["url"]
        return given or url_of(config.load(self.project / config.PLACE).server)

    def get(self, path: str) -> tuple[int, Any]:
        """Return the status and the JSON of a public page."""
        from zato_lite.cli.client import Client, Credentials, decoded  # noqa: PLC0415

        nobody = Credentials({}, "")
        with closing(Client(self.url, nobody, self._options["ca"], _PUBLIC_S)) as client:
            status, text = client.request("GET", path)
        return status, decoded(text)

    def call(self, service: str, payload: Mapping[str, Any] | None = None, **fields: Any) -> Any:
        """Invoke a service with a payload, and the fields that are not None; return its answer.

        Raises:
            AnswerError: the server refused or failed.
            UnavailableError: neither the server nor the store can be used.
        """
        given = {name: value for name, value in fields.items() if value is not None}
        sent = json.dumps({**(payload or {}), **given})
        try:
            answer = self.client.invoke(service, sent)
        except UnavailableError as error:
            if not self._reads or self._options["url"]:
                raise
            self._found = self._open_store(error)
            answer = self.client.invoke(service, sent)
        try:
            return json.loads(answer)
        except (ValueError, RecursionError) as error:
            raise UnavailableError(f"{self.url} is not a server of zato-lite") from error

    def job(self, name: str, **fields: Any) -> dict[str, Any]:
        """Return a job by its name.

        Raises:
            NotFoundError: it does not exist; the error suggests the nearest name.
        """
        try:
            found: dict[str, Any] = self.call(
                "zato.scheduler.job.get-by-name", name=name, **fields
            )
        except ZatoLiteError as error:
            if getattr(error, "code", 0) != NotFoundError.status:
                raise
            raise NotFoundError(f"job {name!r} does not exist{self._nearest(name)}") from error
        return found

    def _nearest(self, name: str) -> str:
        import difflib  # noqa: PLC0415 - rarely needed

        known = self.call("zato.scheduler.job.get-list", page_size=500)
        found = difflib.get_close_matches(name, [each["name"] for each in known], 1)
        return f"; did you mean {found[0]!r}?" if found else "; see zato-lite job list"

    def id_of(self, name: str) -> int:
        """Return the id of the job with a name."""
        found: int = self.job(name)["id"]
        return found

    def show(self, result: Result) -> None:
        """Print a result in the format that the user has chosen."""
        show(result, self.form, 0.0 if self._found is None else self.now)

    @property
    def now(self) -> float:
        """The server's time at its latest answer, in seconds since 1970."""
        found: float = self.client.now
        return found

    def may_answer_otherwise(self) -> bool:
        """Return True if an answer may lack what this version of the command expects of it."""
        if self._found is None or self._is_offline:
            return False
        with suppress(ZatoLiteError, LookupError, TypeError, AttributeError):
            self.client.limit(_VERSION_S)
            nodes = self.call("zato.scheduler.status")["nodes"]
            return {each["version"] for each in nodes} != {__version__}
        return True

    def close(self) -> None:
        """Close the connection."""
        if self._found is not None:
            self._found.close()

    def _connect(self) -> Any:
        from zato_lite import config  # noqa: PLC0415
        from zato_lite.cli.client import (  # noqa: PLC0415
            Client,
            find_credentials,
            with_password,
        )

        options, first, user = self._options, None, self._options["user"]
        if not options["url"]:
            store = config.load(self.project / config.PLACE).store
            first = _first_password(self.project, store.url)
        found = find_credentials(user, options["password_file"], options["key_file"], first)
        if found is None:
            if not self._asks:
                raise UnauthorizedError(_MISSING)
            self.get("/healthz")  # a password is of no use without a server
        return Client(
            self.url,
            found or with_password(user, _typed_password(user), "typed"),
            options["ca"],
            self._timeout,
        )

    def _open_store(self, error: UnavailableError) -> Any:
        from zato_lite.cli.offline import OfflineStore  # noqa: PLC0415

        found = OfflineStore.of(self.project)
        if found is None:
            raise error
        self._is_offline = True
        click.echo(f"zato-lite: {error}; read from a copy of the project's store", err=True)
        return found


def _first_password(project: Path, store: str) -> Path | None:
    """Return the file in which the project's server has left its admin's first password."""
    from zato_lite.store.location import existing_path_of  # noqa: PLC0415

    with suppress(ConfigError):
        file = existing_path_of(project, store)
        if file is not None and os.access(found := file.parent / _FIRST_PASSWORD, os.R_OK):
            return found
    return None


def can_ask() -> bool:
    """Return True if a person can type an answer."""
    return sys.stdin.isatty()


def _typed_password(user: str) -> str:
    """Return the password that a person types.

    Raises:
        UnauthorizedError: the input is not a terminal.
    """
    if not can_ask():
        raise UnauthorizedError(_MISSING)
    typed: str = click.prompt(f"Password of {user}", hide_input=True, err=True)
    return typed


def show(result: Result, form: str | None, now: float = 0.0) -> None:
    """Print a result in a format; None is for people, or for programs that read lines."""
    width = shutil.get_terminal_size().columns
    text = render(result, form, Screen(sys.stdout.isatty(), width, now))
    if text:
        click.echo(text)


def printing(function: Callable[..., Result]) -> Callable[..., None]:
    """Make a command's function print its result, in a format that the user may choose."""

    def run(*, form: str | None, as_json: bool, **arguments: Any) -> None:
        result = function(**arguments)
        show(result, "json" if as_json else form)
        sys.exit(result.status)

    wrapped = update_wrapper(run, function)
    wrapped.__dict__.setdefault("__click_params__", []).extend(OPTIONS[:2])
    return wrapped


_FILE = click.Path(path_type=Path)
OPTIONS: Sequence[click.Option] = (
    click.Option(
        ["-o", "--output", "form"], type=click.Choice(FORMATS), help="Format of the output."
    ),
    click.Option(["--json", "as_json"], is_flag=True, help="The same as -o json."),
    click.Option(
        ["--url"],
        envvar="ZATO_LITE_URL",
        help="URL of the server.  [default: from the project's settings]",
    ),
    click.Option(["--user"], envvar="ZATO_LITE_USER", default="admin.invoke", help="User name."),
    click.Option(
        ["--password-file"],
        type=_FILE,
        help="File with the password; ZATO_LITE_PASSWORD[_FILE] or a prompt by default.",
    ),
    click.Option(
        ["--key-file"],
        type=_FILE,
        help="File with an API key; ZATO_LITE_API_KEY[_FILE] by default.",
    ),
    click.Option(
        ["--ca"],
        type=_FILE,
        envvar="ZATO_LITE_CA",
        help="Certificate of the authority, for https.",
    ),
    click.Option(
        ["--project"],
        type=click.Path(exists=True, file_okay=False, path_type=Path),
        default=Path(),
        help="Folder with services/ and config/.  [default: current folder]",
    ),
)
"""Options of all commands that ask a server."""

_COMMON = frozenset(str(option.name) for option in OPTIONS)
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(_COMMON),
    "user": "admin.invoke",
    "project": Path(),
}


class Verb(click.Command):
    """Command whose help has examples, and a section for the common options."""

    examples: Sequence[str] = ()

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the command's options, and then the common ones."""
        own: list[tuple[str, str]] = []
        common: list[tuple[str, str]] = []
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and record[1]:  # arguments have no help, except in their words
                (common if param.name in _COMMON else own).append(record)
        for title, records in (("Options", own), ("Server and output", common)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':{formatter.current_indent}}zato-lite {example}\n")


def verb(
    group: click.Group | None = None,
    name: str | None = None,
    *,
    reads: bool = False,
    examples: Sequence[str] = (),
    cls: type[Verb] = Verb,
) -> Callable[[Function], click.Command]:
    """Return a decorator that makes a command of a function from a session to a result.

    Args:
        group: the group of the command; None for a command that is not in one.
        name: the command's name; by default the function's.
        reads: the command only reads, also from the store if no server answers.
        examples: command lines for the help.
        cls: the class of the command.
    """

    def decorate(function: Function) -> click.Command:
        def run(**arguments: Any) -> None:
            common = {option: arguments.pop(option) for option in _COMMON}
            with closing(Session(reads=reads, **common)) as session, _words_for(session):
                if (result := function(session, **arguments)) is None:
                    return
                session.show(result)
            sys.exit(result.status)

        command = click.command(name, cls=cls)(update_wrapper(run, function))
        command.params += [*OPTIONS]
        command.examples = examples
        if group is not None:
            group.add_command(command)
        return command

    return decorate


@contextmanager
def _words_for(session: Session) -> Iterator[None]:
    """Make one sentence of the error that an answer of another version has caused."""
    try:
        yield
    except (LookupError, TypeError, AttributeError) as error:
        if not session.may_answer_otherwise():
            raise  # a fault of the command
        words = f"{session.url} answers in another form than zato-lite {__version__}"
        told = f"{words}: {type(error).__name__} {error}; use the version of the server"
        raise UnavailableError(told) from error


def polls() -> Iterator[float]:
    """Wait longer and longer between the steps of a loop; yield the seconds that have passed."""
    began, pause = time.monotonic(), _FIRST_POLL_S
    while True:
        yield time.monotonic() - began
        time.sleep(pause)
        pause = min(_LAST_POLL_S, pause * 1.5)
