"""``zato-lite apply``, ``export``, ``import`` and ``simulate``: sets of jobs and their slots."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from zato_lite.cli.complete import service_names
from zato_lite.cli.jobs import JOB, value_shown
from zato_lite.cli.render import Column, Result, in_markdown, printed
from zato_lite.cli.verb import Session, verb
from zato_lite.errors import BadInputError, ZatoLiteError

_FORMATS = ("apscheduler", "celery", "crontab", "kubernetes", "quartz", "systemd")
_FORESEEN = 200
"""Jobs of a plan whose slots are computed: each takes three requests."""
_MANY = 10
"""Jobs of a plan for which the progress is shown."""
_SLOTS = 3
_REMARKABLE = 4


def _changes_shown(row: Mapping[str, Any]) -> list[str]:
    return [
        f"{field}: {value_shown(change['from'])} -> {value_shown(change['to'])}"
        for field, change in row["changes"].items()
    ]


_file = click.argument("file", type=click.Path())


def read(file: str) -> str:
    """Return the text of a file, or of standard input for ``-``."""
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{file} is not text in UTF-8: {error}") from error


_PLAN = (
    Column("name"),
    Column("action"),
    Column("schedule", "words"),
    Column("changes", _changes_shown),
    Column("next", lambda row: row["next"][:1]),
    Column("remarks", is_wide=True),
    Column("warnings", is_wide=True),
)


@verb(
    examples=(
        "apply config/jobs.yaml --dry-run",
        "apply config/jobs.yaml --dry-run -o markdown",
        "apply config/jobs.yaml",
    ),
)
@_file
@click.option("--dry-run", is_flag=True, help="Only show what would change.")
def apply(session: Session, file: str, *, dry_run: bool) -> Result:
    """Bring the jobs in line with a file.

    FILE is YAML or JSON in the format of config/jobs.yaml, or - for standard input. ${NAME} in it
    is a variable of this command's environment. All of it is applied, or nothing. Jobs that the
    file does not name stay as they are.
    """
    text = read(file)
    with _named(file):
        applied = session.call(f"{JOB}.apply", _sent(text), dry_run=dry_run)
    for words in applied["differences"]:
        click.echo(printed(words), err=True)
    rows = [{"name": name, "action": "create", "changes": {}} for name in applied["created"]]
    rows += [{"action": "change", **each} for each in applied["updated"]]
    summary = _SUMMARIES[dry_run].format(*(len(applied[part]) for part in _PARTS))
    if not dry_run:
        return Result(applied, _PLAN[:2], summary, rows)
    plan = [*_plan(session, text, rows)]
    columns = _PLAN if plan else ()
    shown = None if plan else summary
    markdown = _markdown(file, summary, plan)
    return Result({**applied, "plan": plan}, columns, shown, plan, markdown=markdown)


@contextmanager
def _named(file: str) -> Iterator[None]:
    """Put the name of a file before its mistakes."""
    try:
        yield
    except ZatoLiteError as error:
        if getattr(error, "code", error.status) != BadInputError.status:
            raise
        raise BadInputError(f"{file}: {error}") from error


_PARTS = ("created", "updated", "unchanged")
_SUMMARIES = (
    "{} created, {} changed, {} unchanged",
    "{} to create, {} to change, {} unchanged",
)


def _sent(text: str) -> dict[str, Any]:
    """Return the payload for a file: its text, or its definitions if it has variables."""
    if "$" not in text and "Zato_Enmasse_Env" not in text:
        return {"document": text}
    return {"jobs": _definitions(text)}


def _definitions(text: str) -> list[dict[str, Any]]:
    """Return the definitions of a document with variables replaced."""
    from zato_lite.builtin.enmasse import parse  # noqa: PLC0415 - 150 ms

    return parse(text, os.environ)


def _plan(
    session: Session, text: str, rows: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield what becomes of each job, with the words before and after, next slots and remarks."""
    from zato_lite.builtin.input import parse_name  # noqa: PLC0415 - 150 ms

    definitions = {parse_name(each["name"]): each for each in _definitions(text)}
    is_hidden = len(rows) < _MANY or not sys.stderr.isatty()
    with click.progressbar(rows, label="planning", file=sys.stderr, hidden=is_hidden) as shown:
        for place, row in enumerate(shown):
            is_foreseen = place < _FORESEEN
            definition = definitions[row["name"]]
            yield {
                **row,
                **(_foreseen(session, row["action"], definition) if is_foreseen else _UNSEEN),
            }


_UNSEEN: dict[str, Any] = {
    "words_before": None,
    "words": "",
    "timezone": "",
    "next": [],
    "remarks": [],
    "warnings": [],
}


def _foreseen(session: Session, action: str, definition: Mapping[str, Any]) -> dict[str, Any]:
    """Return the words of a definition, its next slots, and its remarkable ones of a year."""
    sent = dict(definition)
    before = None
    if action == "change":
        found = session.job(str(definition["name"]), include=["words"])
        sent["id"], before = found["id"], found["words"]
    checked = session.call(f"{JOB}.validate", sent)
    ahead = {key: sent[key] for key in sent if key != "id"}
    slots = session.call(f"{JOB}.get-upcoming", ahead, count=_SLOTS)
    odd = session.call(f"{JOB}.get-upcoming", ahead, count=_REMARKABLE, only_remarkable=True)
    return {
        "words_before": before,
        "words": slots["words"],
        "timezone": slots["timezone"],
        "next": [each["local"] for each in slots["slots"]],
        "remarks": [f"{each['local']}: {', '.join(each['remarks'])}" for each in odd["slots"]],
        "warnings": checked.get("warnings", []),
    }


def _markdown(file: str, summary: str, plan: Sequence[Mapping[str, Any]]) -> str:
    """Return a plan for a pull request."""
    lines = [f"### {in_markdown(file)}: {summary}", ""]
    for each in plan:
        lines.append(f"#### {each['action'].title()} {in_markdown(each['name'])}")
        before = each["words_before"]
        was = f" (before: {in_markdown(before)})" if before not in {None, each["words"]} else ""
        lines += ["", f"- **Schedule:** {in_markdown(each['words'])}{was}, {each['timezone']}"]
        lines += [f"- **Next runs:** {', '.join(each['next']) or 'none'}"]
        lines += [
            f"- **{title}:** {in_markdown(text)}" for title, key in _NOTES for text in each[key]
        ]
        if each["changes"]:
            lines += ["", "| field | before | after |", "|---|---|---|"]
            for field, change in each["changes"].items():
                values = (in_markdown(value_shown(change[side])) for side in ("from", "to"))
                lines.append(f"| {in_markdown(field)} | {' | '.join(values)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


_NOTES = (("Clock change or day off", "remarks"), ("Warning", "warnings"))


@verb(reads=True, examples=("export", "export --json"))
def export(session: Session) -> Result | None:
    """Print all jobs as a file for apply."""
    found = session.call(f"{JOB}.export")
    if session.form is not None:
        return Result(found["scheduler"])
    click.echo(found["document"], nl=False)
    return None


_IMPORTED = (
    Column("entry", "place"),
    Column("name"),
    Column("service"),
    Column("type", "job_type"),
    Column("differences"),
    Column("errors"),
)


@verb(
    None,
    "import",
    examples=(
        "import crontab /etc/crontab --service ops.run --with-user",
        "import celery beat.py --map shop.tasks.pay=shop.pay --create",
    ),
)
@click.argument("format", type=click.Choice(_FORMATS))
@_file
@click.option("--service", shell_complete=service_names, help="Service of all entries.")
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="THEIRS=SERVICE",
    help="Service of a task.",
)
@click.option("--timezone", help="Time zone of entries that name none.")
@click.option("--with-user", is_flag=True, default=None, help="The crontab has a column of users.")
@click.option("--create", is_flag=True, help="Create the jobs of all entries without errors.")
def import_(
    session: Session, file: str, *, pairs: Sequence[str], create: bool, **options: Any
) -> Result:
    """Read the jobs of another scheduler's file.

    Without --create, the command only shows them, and what is different here.
    """
    services = dict(pair.split("=", 1) for pair in pairs if "=" in pair)
    if len(services) < len(pairs):
        raise BadInputError("--map: use THEIRS=SERVICE, each once")
    sent = {
        **options,
        "document": read(file),
        "services": services or None,
        "dry_run": not create,
    }
    found = session.call(f"{JOB}.import", sent)
    rows = [{**(each["definition"] or {}), **each} for each in found["entries"]]
    if create:
        click.echo(f"{found['created']} of {len(rows)} entries created", err=True)
    if not options["service"] and any("does not exist" in "".join(it["errors"]) for it in rows):
        text = "name the services that are to run: --service SERVICE, or --map THEIRS=SERVICE"
        click.echo(text, err=True)
    return Result(
        found, _IMPORTED, rows=rows, status=2 if any(each["errors"] for each in rows) else 0
    )


@verb(
    reads=True,
    examples=("simulate", "simulate --week -o csv", "simulate config/jobs.yaml --days 2"),
)
@click.argument("file", type=click.Path(), required=False)
@click.option(
    "--days", type=click.FloatRange(0, 366), default=1.0, help="Days from now on.  [default: 1]"
)
@click.option("--week", is_flag=True, help="The same as --days 7.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 100_000), default=1_000, help="Slots.  [default: 1000]"
)
def simulate(session: Session, file: str | None, *, days: float, week: bool, limit: int) -> Result:
    """List the slots of the coming days.

    They are those of all active jobs, or of the jobs in FILE, a file for apply.
    """
    jobs = None if file is None else _definitions(read(file))
    session.call("zato.ping")  # which tells the server's time
    start = datetime.fromtimestamp(session.now, UTC)
    until = start + timedelta(days=7 if week else days)
    found = session.call(f"{JOB}.simulate", until=until.isoformat(), limit=limit, jobs=jobs)
    for each in found["errors"]:
        click.echo(printed(f"{each['name']}: {each['message']}"), err=True)
    if not found["is_complete"]:
        click.echo(f"the first {limit} slots; -n shows more", err=True)
    return Result(
        found, (Column("slot"), Column("in", "slot", "when"), Column("name")), rows=found["slots"]
    )
