"""Options shared by several commands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

project = click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Folder with services/ and config/.  [default: current folder]",
)


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that a command line has."""
    return {name: value for name, value in options.items() if value not in {None, ()}}


def without_password(context: click.Context, option: click.Parameter, url: Any) -> Any:
    """Refuse a password: all users of a machine see its command lines."""
    if url is not None:
        from zato_lite.store.postgres_url import has_password  # noqa: PLC0415 - --help is quick

        if has_password(url):
            words = "put it in ZATO_LITE_STORE__PASSWORD, PGPASSWORD or [store] password_file"
            raise click.BadParameter(f"a password on the command line is visible to all; {words}")
    return url


store = click.option(
    "--store",
    callback=without_password,
    help="URL of the store.  [default: sqlite:///data/zato-lite.db]",
)
