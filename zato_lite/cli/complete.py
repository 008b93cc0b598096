"""Completion of names in the shell, asked from the server."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import click
from click.shell_completion import CompletionItem

_TIMEOUT_S = 1.0
_MOST = 100

Completer = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _ask(context: click.Context, service: str, fields: Mapping[str, Any]) -> Any:
    """Return a service's answer; nothing if there is none in time: a shell shows no errors."""
    from zato_lite.cli.verb import Session  # noqa: PLC0415 - verb does not need this module

    try:
        with closing(Session(asks=False, timeout=_TIMEOUT_S, **context.params)) as session:
            found = session.call(service, fields)
            return found["nodes"] if service == _STATUS else found
    except Exception:  # noqa: BLE001 - an error would be written into the line that is typed
        return []


def _names(
    service: str, typed_as: str | None = None, *, help_: str = "", **fields: Any
) -> Completer:
    """Return a completer of the names that a service lists.

    Args:
        service: the name of the service.
        typed_as: the field by which the service finds names with a text in them, if it has one.
        help_: the key of the words that are shown beside a name.
        fields: the rest of the payload.
    """

    def complete(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
        sent = {**fields, typed_as: typed} if typed_as else fields
        return [
            CompletionItem(each["name"], help=each.get(help_))
            for each in _ask(context, service, sent)
            if each["name"].startswith(typed)
        ]

    return complete


_STATUS = "zato.scheduler.status"
job_names = _names("zato.scheduler.job.get-list", "query", help_="service", page_size=_MOST)
service_names = _names("zato.service.get-list", "prefix", limit=_MOST)
calendar_names = _names("zato.scheduler.calendar.get-list", help_="description")
user_names = _names("zato.security.user.get-list")
key_names = _names("zato.security.key.get-list", help_="owner")
node_names = _names(_STATUS)
