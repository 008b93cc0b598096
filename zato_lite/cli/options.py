"""Options shared by several commands."""

from pathlib import Path

import click

project = click.option(
    "--project",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="Folder with services/ and config/.  [default: current folder]",
)
