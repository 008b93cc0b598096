import json

import click
import pytest

from zato_lite.cli.render import Column, Result, Screen, columns_of, duration, render

PEOPLE = Screen(True, 40, 1_800_000_000.0)
"""A terminal at 2027-01-15T08:00:00Z."""
PIPE = PEOPLE._replace(is_terminal=False)
ROWS = [
    {"name": "nightly", "at": "2027-01-15T08:01:30", "took": 61_000.0, "state": "ok", "more": 1},
    {"name": "日本", "at": None, "took": None, "state": "error", "more": {"a": 1}},
]
COLUMNS = (
    Column("name"),
    Column("at", kind="when"),
    Column("took", kind="ms"),
    Column("state", kind="state"),
    Column("more", is_wide=True),
)


def lines(result: Result, form: str | None, screen: Screen = PEOPLE) -> list[str]:
    return click.unstyle(render(result, form, screen)).splitlines()


def test_a_table_is_for_people_and_lines_are_for_pipes() -> None:
    result = Result(ROWS, COLUMNS)

    assert lines(result, None) == [
        "NAME     AT             TOOK       STATE",
        "nightly  in 1 min 30 s  1 min 1 s  ok",
        "日本                               error",
    ]
    assert lines(result, None, PIPE) == [
        "nightly\t2027-01-15T08:01:30\t61000.0\tok",
        "日本\t\t\terror",
    ]


def test_a_state_has_a_colour_on_a_terminal() -> None:
    assert click.style("ok", fg="green") in render(Result(ROWS, COLUMNS), None, PEOPLE)


def test_formats_have_all_columns_or_the_data() -> None:
    result = Result(ROWS, COLUMNS)

    assert json.loads(render(result, "json", PIPE)) == ROWS
    assert "name: nightly" in render(result, "yaml", PIPE)
    assert lines(result, "csv")[0] == "name,at,took,state,more"
    assert lines(result, "tsv")[2] == '日本\t\t\terror\t{"a": 1}'
    assert lines(result, "markdown")[1] == "| --- | --- | --- | --- |"
    assert lines(result, "wide")[0].endswith("MORE")


def test_a_wide_column_is_shortened_to_the_terminal() -> None:
    result = Result([{"name": "x" * 100, "why": "y" * 100}], (Column("name"), Column("why")))

    assert [len(line) for line in lines(result, None)] == [24, 40]
    assert "…" in lines(result, None)[1]
    assert len(lines(result, "wide")[1]) == 202


def test_a_column_of_lines_is_whole_on_a_narrow_terminal() -> None:
    columns = (Column("check"), Column("reason", kind="lines"))
    found = lines(Result([{"check": "jobs", "reason": "two-word " * 20}], columns), None)

    assert max(map(len, found)) <= 40
    assert " ".join(found).split().count("two-word") == 20


def test_a_text_of_several_lines_keeps_them_in_an_object() -> None:
    columns = (Column("run"), Column("error", kind="lines"))
    result = Result({"run": 7, "error": "Traceback\n  a.py\nOSError: x\n"}, columns)

    assert lines(result, None) == [
        "run    7",
        "error  Traceback",
        "         a.py",
        "       OSError: x",
    ]
    assert lines(result, None, PIPE)[1] == "error\tTraceback a.py OSError: x"


def test_an_object_is_pairs() -> None:
    result = Result({"name": "nightly", "tags": ["a", "b"], "is_active": False, "note": ""})

    assert lines(result, None) == ["name       nightly", "tags       a, b", "is_active  no"]
    assert lines(result, None, PIPE) == ["name\tnightly", "tags\ta, b", "is_active\tno"]


def test_rows_without_columns_have_those_of_their_keys() -> None:
    assert [each.title for each in columns_of(Result([{"a": 1}, {"b": 2}]))] == ["a", "b"]


@pytest.mark.parametrize(
    ("at", "words"),
    [
        ("2027-01-15T08:00:00.2+00:00", "now"),
        ("2027-01-15T09:00:00+01:00", "now"),
        ("2027-01-15T07:59:51", "9 s ago"),
        ("2027-01-17T11:00:00", "in 2 d 3 h"),
        ("2030-01-17T11:00:00", "2030-01-17"),
    ],
)
def test_a_time_is_a_distance_from_now(at: str, words: str) -> None:
    assert lines(Result([{"at": at}], (Column("at", kind="when"),)), None)[1].strip() == words


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [(0.4, "0 ms"), (1_500, "1.5 s"), (3_000, "3 s"), (59_999, "1 min"), (7_260_000, "2 h 1 min")],
)
def test_a_duration_has_its_two_largest_units(milliseconds: float, words: str) -> None:
    assert duration(milliseconds) == words


def test_control_characters_and_line_ends_stay_in_their_cells() -> None:
    row = {"name": "a\x1b[2J\nb\tc"}

    assert lines(Result([row]), None)[1:] == ["a\\x1b[2J b c"]
    assert lines(Result([row]), None, PIPE) == ["a\\x1b[2J b c"]


def test_json_and_lists_leave_the_terminal_alone() -> None:
    row = {"name": "a\x9b2J\u202e", "patterns": ["\x1b[2J", "b"], "more": {"a": "\x7f\ud800"}}

    for form in ("json", "csv", "table", None):
        assert all(line.isprintable() for line in lines(Result([row]), form))
    assert json.loads(render(Result(row), "json", PIPE)) == row


def test_a_time_of_another_program_is_shown_as_it_is() -> None:
    columns = [Column("next", kind="when"), Column("took", kind="ms")]

    assert lines(Result([{"next": "soon", "took": "long"}], columns), None)[1] == "soon  long"
