"""Values of expressions in Python files, read from the syntax tree without executing anything.

Literals, sums and products of numbers, ``timedelta``, ``crontab``, ``schedule`` and assigned
names are evaluated; all other expressions stay ``Unknown``.
"""

import ast
import operator
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from zato_lite.builtin.imports.celery_schedule import CRONTAB, Crontab, Every
from zato_lite.builtin.imports.entry import MAX_PARTS, count_parts

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_TIMEDELTA = ("days", "seconds", "microseconds", "milliseconds", "minutes", "hours", "weeks")
_CRONTAB = ("minute", "hour", "day_of_week", "day_of_month", "month_of_year")
_EVERY = ("run_every", "relative")
_MAX_RANGE = 100
_MAX_BITS = 1_024


class Unknown(NamedTuple):
    """An expression that only running the file could evaluate."""

    expression: ast.expr | str

    @property
    def source(self) -> str:
        """The expression as the file has it; made late, because most of them are not shown."""
        if isinstance(self.expression, str):
            return self.expression
        try:
            return ast.unparse(self.expression)
        except RecursionError:
            return "an expression of too many parts"


class Evaluator:
    """Evaluator of expressions: ``names`` holds the values that the file assigned so far."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.left = MAX_PARTS

    def value(self, node: ast.expr | None) -> Any:  # noqa: PLR0911 - one for each kind
        """Return the value of an expression, or ``Unknown``."""
        match node:
            case ast.Constant(value=constant):
                return constant
            case ast.List(elts=items) | ast.Set(elts=items) | ast.Tuple(elts=items):
                return [self.value(item) for item in items]
            case ast.Name(id=name) if name in self.names:
                return self._named(node, self.names[name])
            case ast.Dict():
                return self._dict(node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self._operation(node, operator.mul, -1, self.value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                function = _OPERATORS[type(op)]
                return self._operation(node, function, self.value(left), self.value(right))
            case ast.Call():
                return self._call(node)
            case _:
                return Unknown(node or "")

    def _named(self, node: ast.expr, value: Any) -> Any:
        """Return a name's value; values that hold each other could grow without end."""
        if isinstance(value, str | list | tuple | dict):
            self.left -= count_parts(value, self.left)
        return Unknown(node) if self.left < 0 else value

    def _dict(self, node: ast.Dict) -> Any:
        found: dict[Any, Any] = {}
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            key, value = self.value(key_node), self.value(value_node)
            if key_node is None and isinstance(value, dict):  # **other
                found |= value
            elif isinstance(key, str | int | float):
                found[key] = value
            else:
                return Unknown(node)
        return found

    def _operation(
        self, node: ast.expr, function: Callable[[Any, Any], Any], left: Any, right: Any
    ) -> Any:
        is_plain = all(isinstance(each, int | float | timedelta) for each in (left, right))
        is_text = function is operator.add and isinstance(left, str) and isinstance(right, str)
        is_large = any(
            isinstance(each, int) and each.bit_length() > _MAX_BITS for each in (left, right)
        )
        if (is_plain or is_text) and not is_large:
            try:
                return function(left, right)
            except (ArithmeticError, TypeError):
                pass
        return Unknown(node)

    def _call(self, node: ast.Call) -> Any:
        """Return the value of a call of one of the types that a schedule is made of."""
        name = last_name(node.func)
        make = _CALLS.get(name)
        keywords = {each.arg: self.value(each.value) for each in node.keywords if each.arg}
        arguments = [self.value(each) for each in node.args]
        if make is None or name in self.names or len(keywords) < len(node.keywords):
            return Unknown(node)
        try:
            found = make(arguments, keywords)
        except (OverflowError, TypeError, ValueError):
            found = None
        return Unknown(node) if found is None else found


def last_name(node: ast.expr) -> str:
    """Return the name after the last dot; "" if the expression is not a name."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def unknown_in(value: Any) -> Unknown | None:
    """Return the first expression in a value that is not evaluated."""
    if isinstance(value, Unknown):
        return value
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = value.values()
    elif isinstance(value, list):
        parts = value
    return next(filter(None, map(unknown_in, parts)), None)


_Arguments = list[Any]
_Keywords = dict[str, Any]


def _named(names: tuple[str, ...], arguments: _Arguments, keywords: _Keywords) -> _Keywords:
    """Return all arguments by name.

    Raises:
        ValueError: there are unknown ones.
    """
    found = dict(zip(names, arguments, strict=False)) | keywords
    if len(arguments) > len(names) or set(found) - set(names):
        raise ValueError("unknown arguments")
    return found


def _timedelta(arguments: _Arguments, keywords: _Keywords) -> timedelta | None:
    values = _named(_TIMEDELTA, arguments, keywords)
    is_number = all(type(each) in (int, float) for each in values.values())
    return timedelta(**values) if is_number else None


def _every(arguments: _Arguments, keywords: _Keywords) -> Every | None:
    values = _named(_EVERY, arguments, keywords)
    period, is_relative = values.get("run_every"), values.get("relative", False)
    if isinstance(period, int | float):
        period = timedelta(seconds=period)
    if not isinstance(period, timedelta) or not isinstance(is_relative, bool):
        return None
    return Every(period, is_relative)


def _crontab(arguments: _Arguments, keywords: _Keywords) -> Crontab | None:
    values = _named(_CRONTAB, arguments, keywords)
    return None if unknown_in(values) else Crontab(values)


def _from_string(arguments: _Arguments, keywords: _Keywords) -> Crontab | None:
    [text] = arguments
    fields = text.split() if isinstance(text, str) and not keywords else ()
    return Crontab(dict(zip(CRONTAB, fields, strict=True))) if fields else None


def _list(arguments: _Arguments, keywords: _Keywords) -> list[Any] | None:
    return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], list) else None


def _range(arguments: _Arguments, keywords: _Keywords) -> list[Any] | None:
    is_number = all(type(each) is int for each in arguments)
    found = range(*arguments) if is_number and not keywords else range(0)
    return [*found] if 0 < len(found) <= _MAX_RANGE else None


def _mapping(arguments: _Arguments, keywords: _Keywords) -> _Keywords | None:
    return None if arguments else keywords


_CALLS: Mapping[str, Callable[[_Arguments, _Keywords], Any]] = {
    "timedelta": _timedelta,
    "crontab": _crontab,
    "from_string": _from_string,
    "schedule": _every,
    "dict": _mapping,
    "list": _list,
    "tuple": _list,
    "set": _list,
    "frozenset": _list,
    "range": _range,
}
"""Types and functions that are evaluated, by their last name."""
