"""Dialects: PostgreSQL's texts, and rows as JSON."""

from typing import NamedTuple

import msgspec

from zato_lite.store.dialect import (
    AMONG_NUMBERS,
    AMONG_TEXTS,
    EACH_NUMBER,
    json_text,
    postgres_text,
)
from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import advance, read_rows


class Thing(msgspec.Struct, frozen=True):
    name: str
    is_active: bool
    tags: tuple[str, ...]
    user: str | None
    is_late: bool | None


class Pair(NamedTuple):
    name: str
    tags: list[str]


_THING = """SELECT 'a' AS name, TRUE AS is_active, {x} AS tags, NULL AS "user", NULL AS is_late
    UNION ALL SELECT 'b', FALSE, {empty}, 'u', TRUE ORDER BY name DESC"""


def _things(connection: Connection) -> str:
    """Return the statement; its column of JSON has PostgreSQL's type there."""
    if connection.dialect == "sqlite":
        return _THING.format(x="'[\"x\"]'", empty="'[]'")
    return _THING.format(x="CAST('[\"x\"]' AS json)", empty="CAST('[]' AS json)")


def test_parameters_are_numbered_as_sqlite_does() -> None:
    assert postgres_text("SELECT ?, ?3, ?, ?1") == "SELECT $1, $3, $4, $1"


def test_a_question_mark_in_a_text_is_not_a_parameter() -> None:
    assert postgres_text("SELECT 'who?', ? -- why?") == "SELECT 'who?', $1 -- why?"


def test_words_become_those_of_postgres() -> None:
    statement = f"SELECT 1 FROM {EACH_NUMBER} WHERE id {AMONG_NUMBERS} AND name NOT {AMONG_TEXTS}"

    assert postgres_text(statement) == (
        "SELECT 1 FROM unnest(CAST($1 AS bigint[])) AS wanted (value)"
        " WHERE id = ANY (CAST($2 AS bigint[])) AND name <> ALL (CAST($3 AS text[]))"
    )


def test_rows_for_postgres_need_no_columns() -> None:
    assert json_text("postgres", "SELECT 1", Thing) == (
        "SELECT json_agg(row_to_json(q)) FROM (SELECT 1) q"
    )


async def test_rows_become_structs_by_the_names_of_their_fields(database: Database) -> None:
    things = await database.read(lambda c: read_rows(c, _things(c), (), Thing))

    assert things == [Thing("b", False, (), "u", True), Thing("a", True, ("x",), None, None)]


async def test_rows_become_tuples_by_the_order_of_their_columns(database: Database) -> None:
    pairs = await database.read(
        lambda c: read_rows(c, f"SELECT t.name, t.tags FROM ({_things(c)}) t", (), Pair)
    )

    assert pairs == [Pair("b", []), Pair("a", ["x"])]


async def test_a_list_selects_among_numbers_and_among_texts(database: Database) -> None:
    def select(connection: Connection) -> tuple[list[int], list[str], list[int]]:
        of_numbers = f"SELECT value FROM {EACH_NUMBER} WHERE value {{}} ORDER BY value"
        numbers = (connection.many([3, 1, 2]), connection.many([2, 3, 4]))
        names = f"SELECT t.name FROM ({_things(connection)}) t WHERE t.name {AMONG_TEXTS}"
        return (
            read_rows(connection, of_numbers.format(AMONG_NUMBERS), numbers, int),
            read_rows(connection, names, (connection.many(["b", 'x", {\\']),), str),
            read_rows(connection, of_numbers.format(f"NOT {AMONG_NUMBERS}"), numbers, int),
        )

    assert await database.read(select) == ([2, 3], ["b"], [1])


async def test_no_rows_are_an_empty_list(database: Database) -> None:
    none = "SELECT t.name, t.tags FROM ({}) t WHERE name = 'c'"

    assert await database.read(lambda c: read_rows(c, none.format(_things(c)), (), Pair)) == []


async def test_numbers_of_a_sequence_grow_and_are_never_given_out_twice(
    database: Database,
) -> None:
    first = await database.write(lambda c: advance(c, "token", 3))
    second = await database.write(lambda c: advance(c, "token", 2))

    assert len({*first, *second}) == 5
    assert [*first, *second] == sorted([*first, *second])
