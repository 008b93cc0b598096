"""Results as text: a table on a terminal, lines with tabs in a pipe, or a format by its name."""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import zip_longest
from textwrap import wrap
from typing import Any, Literal, NamedTuple

import click

FORMATS = ("table", "wide", "json", "yaml", "csv", "tsv", "markdown")

_GAP = "  "
_MIN_WIDTH = 12
_SECOND_MS = 1_000
_FAR_S = 60 * 86_400
_COLOURS = {
    **dict.fromkeys(("ok", "active", "yes"), "green"),
    **dict.fromkeys(("error", "timeout", "lost", "denied", "failing", "failed"), "red"),
    **dict.fromkeys(("paused", "missed", "late", "cancelled", "excluded", "warning"), "yellow"),
    **dict.fromkeys(("running", "queued"), "cyan"),
}
_CONTROLS = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


class Column(NamedTuple):
    """A column: its title, the key or function of its value, and its kind.

    The text of a kind of ``lines`` is shown whole, on as many lines as it needs.
    """

    title: str
    source: str | Callable[[Mapping[str, Any]], Any] = ""
    kind: Literal["", "when", "ms", "state", "lines"] = ""
    is_wide: bool = False

    def value(self, row: Mapping[str, Any]) -> Any:
        """Return the column's value in a row."""
        if callable(self.source):
            return self.source(row)
        return row.get(self.source or self.title.lower().replace(" ", "_"))


class Result(NamedTuple):
    """Result of a command.

    Attributes:
        data: what JSON and YAML show.
        columns: those of a table; by default the keys of the rows.
        text: for people, in place of a table.
        rows: those of a table; by default the data.
        status: the exit status.
        markdown: in place of a table in Markdown.
    """

    data: Any
    columns: Sequence[Column] = ()
    text: str | None = None
    rows: Sequence[Mapping[str, Any]] | None = None
    status: int = 0
    markdown: str | None = None

    @property
    def table(self) -> Sequence[Mapping[str, Any]]:
        """The rows: those given, or the data itself."""
        if self.rows is not None:
            return self.rows
        return self.data if isinstance(self.data, list) else [self.data]

    @property
    def is_list(self) -> bool:
        """True for rows, False for a single object."""
        return self.rows is not None or isinstance(self.data, list)


class Screen(NamedTuple):
    """The place of the output: a terminal with a width, or a pipe; and the present time."""

    is_terminal: bool
    width: int
    now: float


def render(result: Result, form: str | None, screen: Screen) -> str:
    """Return a result in a format; None is for people, or for programs that read lines."""
    match form:
        case "json":
            return as_json(result.data, indent=2)
        case "yaml":
            return _yaml(result.data)
        case "markdown" if result.markdown is not None:
            return printed(result.markdown)
        case "csv" | "tsv" | "markdown":
            return _delimited(result, form)
        case _ if form or screen.is_terminal or result.text is not None:
            return _for_people(result, screen, is_wide=form == "wide")
        case _:
            return _delimited(result, "lines")


def _yaml(data: Any) -> str:
    from zato_lite.builtin.documents import write_document  # noqa: PLC0415 - 150 ms

    return write_document(data).rstrip()


def _for_people(result: Result, screen: Screen, *, is_wide: bool = False) -> str:
    columns = [each for each in columns_of(result) if is_wide or not each.is_wide]
    if result.text is not None and not (is_wide and columns):
        return printed(result.text)
    if not columns:
        return ""
    if not result.is_list:
        return _pairs(columns, result.data, screen)
    rows = [
        [" ".join(cell(each, row, screen.now).split()) for each in columns] for row in result.table
    ]
    return table(columns, rows, screen.width if screen.is_terminal and not is_wide else 0)


def columns_of(result: Result) -> Sequence[Column]:
    """Return the columns of a result; by default the keys of its rows."""
    if result.columns:
        return result.columns
    keys = dict.fromkeys(key for row in result.table if isinstance(row, dict) for key in row)
    return [Column(key, key) for key in keys]


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> str:
    """Return a table; wide columns are shortened until it fits into a width, 0 for any."""
    widths = [
        max([_width(column.title), *(_width(row[place]) for row in rows)])
        for place, column in enumerate(columns)
    ]
    excess = sum(widths) + len(_GAP) * (len(widths) - 1) - width if width else 0
    while excess > 0 and (most := max(widths)) > _MIN_WIDTH:
        place = widths.index(most)
        widths[place] -= 1
        excess -= 1
    titles = [column.title.upper() for column in columns]
    head = _line(titles, widths, lambda _, text: click.style(text, bold=True))
    body = [
        _line(line, widths, lambda place, text: _styled(columns[place], text))
        for row in rows
        for line in _wrapped(columns, row, widths)
    ]
    return "\n".join([head, *body])


def _wrapped(
    columns: Sequence[Column], row: Sequence[str], widths: Sequence[int]
) -> Iterable[Sequence[str]]:
    """Return the lines of a row: several if a column of lines is too narrow for its text."""
    parts = [
        wrap(text, width, break_on_hyphens=False)
        if column.kind == "lines" and _width(text) > width
        else [text]
        for column, text, width in zip(columns, row, widths, strict=True)
    ]
    return zip_longest(*parts, fillvalue="")


def _line(texts: Sequence[str], widths: Sequence[int], style: Callable[[int, str], str]) -> str:
    fitted = [_fit(text, width) for text, width in zip(texts, widths, strict=True)]
    fitted[-1] = fitted[-1].rstrip()
    return _GAP.join(style(place, text) for place, text in enumerate(fitted)).rstrip()


def _pairs(columns: Iterable[Column], data: Any, screen: Screen) -> str:
    shown = [(each, text) for each in columns if (text := cell(each, data, screen.now))]
    width = max((_width(column.title) for column, _ in shown), default=0)
    below = "\n" + " " * (width + len(_GAP))
    return "\n".join(
        f"{click.style(_fit(column.title, width), bold=True)}{_GAP}"
        + _styled(column, text.rstrip().replace("\n", below))
        for column, text in shown
    )


def _delimited(result: Result, form: str) -> str:
    is_whole = form in {"csv", "tsv"}
    columns = [each for each in columns_of(result) if is_whole or not each.is_wide]
    rows = [[cell(each, row, None) for each in columns] for row in result.table]
    titles = [each.title.lower().replace(" ", "_") for each in columns]
    if form == "markdown":
        marked = [titles, ["---"] * len(titles), *rows]
        return "\n".join(f"| {' | '.join(map(in_markdown, row))} |" for row in marked)
    if form == "csv":
        return _csv([titles, *rows])
    if form == "lines" and not result.is_list:
        rows = [[title, text] for title, text in zip(titles, rows[0], strict=True) if text]
    lines = rows if form == "lines" else [titles, *rows]
    return "\n".join("\t".join(" ".join(text.split()) for text in row) for row in lines)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    import csv  # noqa: PLC0415
    import io  # noqa: PLC0415

    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().rstrip("\n")


def in_markdown(text: str) -> str:
    """Return a text as a cell of a table in Markdown."""
    return re.sub(r"([|\\`*_<\[])", r"\\\1", text).replace("\n", " ")


def cell(column: Column, row: Mapping[str, Any], now: float | None) -> str:
    """Return a value as text: for people if the present time is given, else exact."""
    value = column.value(row)
    if value is None or isinstance(value, bool):
        return "" if value is None else "yes" if value else "no"
    if isinstance(value, dict) or (
        isinstance(value, list) and any(isinstance(v, dict) for v in value)
    ):
        return as_json(value)
    if isinstance(value, list):
        return printed(", ".join(map(str, value)))
    if now is not None and column.kind in _WORDS and value != "":
        with suppress(ValueError, TypeError):  # a time or a number of another program
            return _WORDS[column.kind](value, now)
    text = printed(str(value))
    return text if now is None or column.kind == "lines" else " ".join(text.split())


def last_line(text: str | None) -> str:
    """Return the last line of a text: of a traceback, the exception."""
    return (text or "").rstrip().rpartition("\n")[2]


def _ago(iso: str, now: float) -> str:
    """Return a time as its distance from now; the date if it is far away."""
    moment = datetime.fromisoformat(iso)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    seconds = moment.timestamp() - now
    if abs(seconds) > _FAR_S:
        return moment.date().isoformat()
    if abs(seconds) < 1:
        return "now"
    words = duration(round(abs(seconds)) * _SECOND_MS)
    return f"in {words}" if seconds > 0 else f"{words} ago"


_WORDS: Mapping[str, Callable[[Any, float], str]] = {
    "when": _ago,
    "ms": lambda value, _: duration(float(value)),
}


def duration(milliseconds: float) -> str:
    """Return a duration in its two largest units."""
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 10 * _SECOND_MS and milliseconds % _SECOND_MS:
        return f"{milliseconds / _SECOND_MS:.1f} s"
    seconds = round(milliseconds / 1000)
    first = next(place for place, (size, _) in enumerate(_UNITS) if seconds >= size)
    parts = []
    for size, unit in _UNITS[first : first + 2]:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts)


def as_json(data: Any, indent: int | None = None) -> str:
    """Return JSON in which those control characters are escaped that JSON itself permits."""
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def printed(text: str) -> str:
    """Return a text without control characters that could change a terminal."""
    if text.isprintable():
        return text
    from zato_lite.log import printable  # noqa: PLC0415 - rarely needed

    return printable(text)


def _styled(column: Column, text: str) -> str:
    if column.kind != "state":
        return text
    return click.style(text, fg=_COLOURS.get(text.partition(" ")[0]))


def _width(text: str) -> int:
    """Return the number of a terminal's columns that a text needs."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(it) else 2 if unicodedata.east_asian_width(it) in "WF" else 1
        for it in text
    )


def _fit(text: str, width: int) -> str:
    """Return a text shortened or filled to a width."""
    if _width(text) > width:
        while _width(text) > width - 1:
            text = text[:-1]
        text += "…"
    return text + " " * (width - _width(text))
