"""Group whose commands are imported when they run, so that its help is quick."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

INTERRUPTED = 130
"""Exit status after Ctrl+C: 128 and the number of the signal."""


class Lazy(NamedTuple):
    """A command: ``module:attribute``, and its help in a sentence."""

    place: str
    help: str


class LazyGroup(click.Group):
    """Group of commands by their places."""

    def __init__(
        self, *arguments: Any, lazy: Mapping[str, Lazy] | None = None, **more: Any
    ) -> None:
        super().__init__(*arguments, **more)
        self.lazy = lazy or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands."""
        return [*self.lazy]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command by its name; None if there is none."""
        if (found := self.lazy.get(cmd_name)) is None:
            return None
        module, _, name = found.place.partition(":")
        command: click.Command = getattr(import_module(f"zato_lite.cli.{module}"), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that arguments name; the error of an unknown one has the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches  # noqa: PLC0415 - rarely needed

            if not (nearest := get_close_matches(args[0], self.lazy, 1)):
                raise
            words = f"{error.message} Did you mean {nearest[0]!r}?"
            raise click.UsageError(words, ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; end as shells expect it if a person interrupts it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo(err=True)  # the terminal has shown ^C
            ctx.exit(INTERRUPTED)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.help) for name, each in self.lazy.items()])
