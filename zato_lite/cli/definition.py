"""Options that are the fields of a job's definition, and a definition edited by hand."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import click

from zato_lite.cli.complete import Completer, calendar_names, job_names, service_names
from zato_lite.cli.verb import OPTIONS, Verb, can_ask
from zato_lite.errors import BadInputError

_TYPES = {"every": "interval_based", "cron_definition": "cron_style", "at": "one_time"}
_OWN = ("name", "service", "job_type", "every", "cron_definition", "weeks", "days", "hours")
_PERIODS = ("minutes", "seconds", "milliseconds")
_SCHEDULES: Sequence[click.Option] = (
    click.Option(["--every"], help="Interval: 90s, 15m, '1 h 30 min', 2d."),
    click.Option(
        ["--cron", "cron_definition"], help="Cron expression, or a macro such as @daily."
    ),
    click.Option(["--at"], help="The only run: an ISO date, in --timezone or UTC."),
)


_LIMIT = 10**15
_ENDINGS = {
    "_ms": "A duration: 500ms, 90s, 15m; or milliseconds.",
    "_seconds": "A duration: 90s, 15m, 2d; or seconds.",
    "_service": "Name of a service.",
    "_job": "Name of a job.",
    "calendar": "Name of a calendar.",
    "extra": "Payload of the service: JSON, or a text.",
}
"""Values of fields by the ends of their names."""
_COMPLETERS = {"_service": service_names, "_job": job_names, "calendar": calendar_names}
"""Completers of names by the ends of the fields' names."""
_KINDS = {
    "boolean": "true or false.",
    "date-time": "An ISO date, in --timezone or UTC.",
    "array": "Texts, separated by commas.",
}
"""Values of fields by the formats or types of their schemas."""


class Defining(Verb):
    """Command with an option for each field of a definition."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters; those of the fields are made when they are first needed."""
        if not any(param.name == "every" for param in self.params):
            taken: set[Any] = {param.name for param in self.params}
            place = len(self.params) - len(OPTIONS)  # which come last
            self.params[place:place] = [*_SCHEDULES, *_field_options(taken)]
        return super().get_params(ctx)


def _field_options(taken: set[Any]) -> list[click.Option]:
    from zato_lite.builtin.definition import Definition  # noqa: PLC0415 - 150 ms
    from zato_lite.builtin.input import fields_of  # noqa: PLC0415

    return [
        click.Option(
            [f"--{each.name.replace('_', '-')}", *(["-i"] if each.name == "extra" else [])],
            help=_allowed(each.name, each.schema),
            metavar="TEXT",
            shell_complete=_completer(each.name),
        )
        for each in fields_of(Definition)
        if each.name not in {*_OWN, *_PERIODS, *taken}
    ]


def _completer(name: str) -> Completer | None:
    found = (complete for end, complete in _COMPLETERS.items() if name.endswith(end))
    return next(found, None)


def _allowed(name: str, schema: Mapping[str, Any]) -> str:
    """Return the values that a field may have, in words."""
    kind = next((words for end, words in _ENDINGS.items() if name.endswith(end)), "")
    if kind:
        return kind
    if "enum" in schema:
        return f"One of {', '.join(schema['enum'])}."
    if "minimum" in schema:
        maximum = schema["maximum"]
        upper = f" to {maximum:,}" if maximum < _LIMIT else ""
        return f"A number from {schema['minimum']:,}{upper}."
    if "example" in schema:
        return f"A text, such as {schema['example']}."
    return _KINDS.get(str(schema.get("format", schema.get("type"))), "A text.")


def definition_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a definition that options have given, and the type that they mean."""
    fields = {name: value for name, value in given.items() if value is not None}
    kinds = [kind for option, kind in _TYPES.items() if option in fields]
    if len(kinds) > 1:
        raise BadInputError("--every, --cron and --at exclude one another")
    if kinds:
        fields["job_type"] = kinds[0]
    if "at" in fields:
        fields["start_date"] = fields.pop("at")
    return fields


def edited_by_hand(before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an object that a person changes in an editor; None for removed ones.

    Raises:
        BadInputError: a terminal is missing, and no variable names an editor.
    """
    from zato_lite.builtin.documents import read_document, write_document  # noqa: PLC0415

    if not can_ask() and os.environ.keys().isdisjoint({"EDITOR", "VISUAL"}):
        raise BadInputError("no change is given, and an editor needs a terminal; see --help")
    text = click.edit(write_document(before), extension=".yaml")
    if text is None:
        return {}
    after = read_document(text).values
    removed = {name: None for name in before if name not in after}
    changed = {str(name): value for name, value in after.items() if before.get(name) != value}
    return changed | removed
