"""Completion of names in the shell, asked from the server."""

from contextlib import closing
from typing import Any

import click
from click.shell_completion import CompletionItem

_TIMEOUT_S = 1.0


def _ask(context: click.Context, service: str, **fields: Any) -> Any:
    """Return a service's answer; nothing if there is none in time: a shell shows no errors."""
    from zato_lite.cli.verb import Session  # noqa: PLC0415 - verb does not need this module

    try:
        with closing(Session(asks=False, timeout=_TIMEOUT_S, **context.params)) as session:
            return session.call(service, **fields)
    except Exception:  # noqa: BLE001 - an error would be written into the line that is typed
        return []


def job_names(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the names of jobs that begin with what was typed."""
    found = _ask(context, "zato.scheduler.job.get-list", query=typed, page_size=100)
    return [
        CompletionItem(it["name"], help=it["service"])
        for it in found
        if it["name"].startswith(typed)
    ]


def service_names(context: click.Context, _: click.Parameter, typed: str) -> list[CompletionItem]:
    """Return the names of services that begin with what was typed."""
    found = _ask(context, "zato.service.get-list", prefix=typed, limit=100)
    return [CompletionItem(it["name"]) for it in found if it["name"].startswith(typed)]
