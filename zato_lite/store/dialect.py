"""SQL dialects: statements are SQLite's, and plain; PostgreSQL's text is derived from them.

Engines differ in placeholders and in a few words, each a constant of this module that statements
contain. ``postgres_text`` puts PostgreSQL's in their place. A statement that differs otherwise has
two files in ``queries``.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

import msgspec

Dialect = Literal["sqlite", "postgres"]

AMONG_NUMBERS = "IN (SELECT numbers.value FROM json_each(?) numbers)"
AMONG_TEXTS = "IN (SELECT texts.value FROM json_each(?) texts)"
"""Condition after an expression, and after an optional NOT: it is among ``Connection.many``."""

EACH_NUMBER = "json_each(?) wanted /* bigint */"
EACH_TEXT = "json_each(?) wanted /* text */"
"""Table ``wanted`` with one column, ``value``, of the items of ``Connection.many``."""

LIKE_ANY_CASE = "LIKE /* upper or lower case */"
"""Operator: the text matches a pattern, whatever the case of its ASCII letters."""

NOT_DELETED = "+j.deleted_at IS NULL"
"""Condition of an existing job ``j`` where all jobs are read. Without the sign, SQLite would read
the index of names, and each row by its id, which takes 15 times as long."""

SKIPPING_LOCKED = "/* rows that no other transaction has locked */"
"""End of a SELECT: it locks its rows, and leaves out those of other transactions. SQLite has one
writer."""

_WORDS = {
    f"NOT {AMONG_NUMBERS}": "<> ALL (CAST(? AS bigint[]))",
    f"NOT {AMONG_TEXTS}": "<> ALL (CAST(? AS text[]))",
    SKIPPING_LOCKED: "FOR UPDATE SKIP LOCKED",
    LIKE_ANY_CASE: "ILIKE",
    NOT_DELETED: "j.deleted_at IS NULL",
    AMONG_NUMBERS: "= ANY (CAST(? AS bigint[]))",
    AMONG_TEXTS: "= ANY (CAST(? AS text[]))",
    EACH_NUMBER: "unnest(CAST(? AS bigint[])) AS wanted (value)",
    EACH_TEXT: "unnest(CAST(? AS text[])) AS wanted (value)",
}

_PLACEHOLDER = re.compile(r"'[^']*'|--[^\n]*|\?(\d*)")

_SCALARS = (
    msgspec.inspect.IntType | msgspec.inspect.StrType | msgspec.inspect.FloatType
    | msgspec.inspect.NoneType | msgspec.inspect.LiteralType
)  # fmt: skip


@lru_cache(maxsize=1_000)
def postgres_text(statement: str) -> str:
    """Return PostgreSQL's text of a statement; its parameters are ``$1`` and so on."""
    for word, other in _WORDS.items():
        statement = statement.replace(word, other)
    greatest = 0

    def numbered(match: re.Match[str]) -> str:
        nonlocal greatest
        if match[0][0] != "?":
            return match[0]
        number = int(match[1] or greatest + 1)
        greatest = max(greatest, number)
        return f"${number}"

    return _PLACEHOLDER.sub(numbered, statement)


def texts(name: str) -> Mapping[Dialect, str]:
    """Return the two texts of a statement that differs, from the folder ``queries``."""
    folder = files("zato_lite.store") / "queries"
    dialects: tuple[Dialect, ...] = ("sqlite", "postgres")
    return {
        dialect: "\n".join(
            line
            for line in (folder / f"{name}.{dialect}.sql").read_text(encoding="utf-8").splitlines()
            if not line.startswith("--")
        )
        for dialect in dialects
    }


@lru_cache(maxsize=500)
def json_text(dialect: Dialect, statement: str, kind: Any) -> str:
    """Return the statement for the rows of another one as one JSON list; null for none."""
    columns = _columns_of(kind)
    aggregate = "json_group_array" if dialect == "sqlite" else "json_agg"
    if isinstance(columns, dict):
        item = _object(dialect, columns)
        return f"SELECT {aggregate}({item}) FROM ({statement}) q"
    names = [f"c{number}" for number in range(len(columns))]
    values = [_value(dialect, name, column) for name, column in zip(names, columns, strict=True)]
    make = "json_array" if dialect == "sqlite" else "json_build_array"
    item = values[0] if _is_scalar(kind) else f"{make}({', '.join(values)})"
    return f"WITH q ({', '.join(names)}) AS ({statement}) SELECT {aggregate}({item}) FROM q"


def _object(dialect: Dialect, columns: Mapping[str, msgspec.inspect.Type]) -> str:
    if dialect == "postgres":
        return "row_to_json(q)"
    fields = [f"'{name}', {_value(dialect, name, kind)}" for name, kind in columns.items()]
    return f"json_object({', '.join(fields)})"


def _value(dialect: Dialect, name: str, kind: msgspec.inspect.Type) -> str:
    if dialect == "postgres":
        return f"q.{name}"
    members = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    if any(isinstance(member, msgspec.inspect.BoolType) for member in members):
        return f"json(CASE q.{name} WHEN 0 THEN 'false' WHEN 1 THEN 'true' END)"
    if all(isinstance(member, _SCALARS) for member in members):
        return f"q.{name}"
    return f"json(q.{name})"


def _columns_of(
    kind: Any,
) -> dict[str, msgspec.inspect.Type] | tuple[msgspec.inspect.Type, ...]:
    """Return the types of the columns: by the name of the field, or in order."""
    match msgspec.inspect.type_info(kind):
        case msgspec.inspect.StructType(fields=fields, array_like=False):
            return {field.name: field.type for field in fields}
        case (
            msgspec.inspect.StructType(fields=fields)
            | msgspec.inspect.NamedTupleType(fields=fields)
        ):
            return tuple(field.type for field in fields)
        case msgspec.inspect.TupleType(item_types=types):
            return types
        case scalar:
            return (scalar,)


def _is_scalar(kind: Any) -> bool:
    return isinstance(msgspec.inspect.type_info(kind), _SCALARS)
