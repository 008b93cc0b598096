"""docs/command-line.md against the commands themselves."""

import os
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from zato_lite.builtin.definition import NAMES
from zato_lite.cli.definition import Defining
from zato_lite.cli.main import _COMMANDS, cli
from zato_lite.cli.verb import OPTIONS, Verb

FILE = Path(__file__).parents[2] / "docs" / "command-line.md"
PAGE = FILE.read_text(encoding="utf-8")
TEXT = PAGE.partition("## All commands")[0]
BEGIN, END = "pytest tests/cli/test_reference.py -->\n", "<!-- end -->"


def commands(group: click.Group = cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield all commands that are not groups, by their words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


KEYSTROKES = re.compile(r"`([^`]+)` \((\d+)\)")
VERBS = {path: command for path, command in commands() if isinstance(command, Verb)}


def parsed(line: str) -> None:
    """Parse a command line; raise the error of a wrong one."""
    found = [pair for pair in commands() if f"{line} ".startswith(f"{pair[0]} ")]
    path, command = max(found, key=lambda pair: len(pair[0]))
    command.make_context(path, shlex.split(line)[len(path.split()) :], resilient_parsing=False)


@pytest.mark.parametrize("path", VERBS)
def test_examples_of_the_help_are_right(path: str) -> None:
    assert VERBS[path].examples
    for example in VERBS[path].examples:
        assert example.startswith(path)
        parsed(example)


def test_commands_of_the_page_are_right() -> None:
    lines = re.findall(r"(?:^    |`)zato-lite ([a-z][^`|\n]*)", TEXT, re.MULTILINE)

    assert len(lines) > 10
    for line in lines:
        if not line.startswith("COMMAND"):
            parsed(re.split(" [|>] ", line)[0].strip())


def test_keystrokes_are_counted_and_never_more_than_others() -> None:
    rows = [row for row in PAGE.splitlines() if row.count("` (") > 1]
    counted = [[(it[0], int(it[1])) for it in KEYSTROKES.findall(row)] for row in rows]

    assert len(counted) >= 10
    for [own, *others] in counted:
        assert all(len(text) == n for text, n in [own, *others]), (own, others)
        assert own[0].startswith("zato-lite ")
        assert all(own[1] <= n for _, n in others), own


def test_lazy_commands_have_the_help_that_the_group_shows() -> None:
    context = click.Context(cli)
    for name, lazy in _COMMANDS.items():
        command = cli.get_command(context, name)
        assert command is not None
        assert (name, command.get_short_help_str(200)) == (name, lazy.help)


def test_common_options_are_on_the_page() -> None:
    for option in OPTIONS:
        if option.name not in {"project", "as_json"}:
            assert f"`{option.opts[-1] if option.name != 'form' else '-o'}`" in PAGE
        if option.envvar:
            assert f"`{option.envvar}`" in PAGE


def table() -> str:
    """Return the table of all commands."""
    lines = ["| command | | options |", "|---|---|---|"]
    for path, command in commands():
        own = [it for it in command.get_params(click.Context(command)) if is_listed(command, it)]
        words = [f" {it.human_readable_name}" for it in own if isinstance(it, click.Argument)]
        options = [f"`{it.opts[-1]}`" for it in own if isinstance(it, click.Option)]
        help_ = command.get_short_help_str(200)
        lines.append(f"| `zato-lite {path}{''.join(words)}` | {help_} | {', '.join(options)} |")
    return "\n".join(lines)


def is_listed(command: click.Command, param: click.Parameter) -> bool:
    is_common = param.name in {*(option.name for option in OPTIONS), "help", "as_json"}
    is_field = param.name in {*NAMES} - {"timezone", "cron_definition", "every"}
    is_hidden = isinstance(param, click.Option) and (
        param.hidden or (is_field and isinstance(command, Defining))
    )
    return not is_common and not is_hidden


def test_the_table_of_all_commands_is_on_the_page() -> None:
    head, _, rest = PAGE.partition(BEGIN)
    found, _, tail = rest.partition(END)

    if "WRITE_DOCS" in os.environ:
        FILE.write_text(f"{head}{BEGIN}\n{table()}\n\n{END}{tail}", encoding="utf-8")

    assert found.strip() == table()
