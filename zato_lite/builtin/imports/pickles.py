"""Restricted reader of the pickles in APScheduler's exports: it builds values and calls nothing.

A pickle is a program. This module interprets the few operations that dates, periods, time zones
and the fields of cron triggers need, and refuses all others, so that reading has no effect.
"""

import pickletools
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from zato_lite.builtin.imports.entry import MAX_PARTS, NoEquivalentError, count_parts
from zato_lite.errors import BadInputError
from zato_lite.timetable.zone import check_zone

_MAX_LENGTH = 200_000
_MAX_OPERATIONS = 10_000
_MAX_CACHED = 2_000
_FIELDS = "apscheduler.triggers.cron.fields."
_EXPRESSIONS = "apscheduler.triggers.cron.expressions."


class Global(NamedTuple):
    """The name of a class or function, which is never imported."""

    name: str


@dataclass(repr=False, eq=False)
class Instance:
    """An object of APScheduler's: the name of its class, and its attributes."""

    cls: str
    state: dict[str, Any] = field(default_factory=dict)


class _Mark:
    """Marker on the stack."""


def load(text: str) -> Any:
    """Return the value of a pickle in base64; short ones are cached, since they are repeated.

    Raises:
        NoEquivalentError: it is broken, or holds something else than the values above.
    """
    return _load_cached(text) if len(text) <= _MAX_CACHED else _load(text)


def _load(text: str) -> Any:
    try:
        data = b64decode(text[:_MAX_LENGTH], validate=True)
        return _Machine().run(data)
    except NoEquivalentError:
        raise
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError) as error:
        raise NoEquivalentError(f"a pickled value cannot be read: {error}") from error
    except BadInputError as error:
        raise NoEquivalentError(str(error)) from error


_load_cached = lru_cache(maxsize=4_096)(_load)


class _Machine:
    """Interpreter of the operations; its memory is a stack and a memo of inert values."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
            if count > _MAX_OPERATIONS:
                raise NoEquivalentError("a pickle of too many operations is not read")
            if opcode.name == "STOP":
                [value] = self.take(len(self.stack))
                if count_parts(value, parts_of=_state) > MAX_PARTS:
                    raise NoEquivalentError("a pickle of too many values is not read")
                return value
            if opcode.name in _CONSTANTS:
                self.stack.append(argument)
            elif (step := _STEPS.get(opcode.name)) is not None:
                step(self, argument)
            else:
                raise NoEquivalentError(f"a pickled value cannot be read: {opcode.name} is unsafe")
        raise ValueError("it has no end")

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _Mark:
            raise ValueError("a mark where a value belongs")
        return value

    def pop_to_mark(self) -> list[Any]:
        values = []
        while (value := self.stack.pop()) is not _Mark:
            values.append(value)
        return values[::-1]

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def memoize(self, place: int | None) -> None:
        self.memo[len(self.memo) if place is None else place] = self.stack[-1]

    def take(self, count: int) -> tuple[Any, ...]:
        return tuple([self.pop() for _ in range(count)][::-1])

    def find(self, module: str, name: str) -> None:
        known = f"{module.replace('__builtin__', 'builtins')}.{name}"
        is_plain = module.replace(".", "").isidentifier() and name.isidentifier()
        if not is_plain or (known not in _CALLS and not known.startswith((_FIELDS, _EXPRESSIONS))):
            raise NoEquivalentError(
                f"a pickled value refers to {module}.{name}; only dates, periods, time zones and "
                f"fields of triggers are read"
            )
        self.push(Global(known))

    def stack_global(self) -> None:
        module, name = self.take(2)
        if not isinstance(module, str) or not isinstance(name, str):
            raise NoEquivalentError("a pickled value refers to something without a name")
        self.find(module, name)

    def call(self) -> None:
        function, arguments = self.take(2)
        if not isinstance(function, Global) or function.name not in _CALLS:
            raise NoEquivalentError("a pickled value calls something that is not a known type")
        self.push(_CALLS[function.name](*arguments))

    def new_object(self) -> None:
        cls, arguments = self.take(2)
        if not isinstance(cls, Global) or arguments or not cls.name.startswith("apscheduler."):
            raise NoEquivalentError("a pickled value creates an object of an unknown class")
        self.push(Instance(cls.name.rpartition(".")[2]))

    def build(self) -> None:
        state = self.pop()
        made = self.stack[-1]
        if not isinstance(made, Instance) or not isinstance(state, dict):
            raise NoEquivalentError("a pickled value changes something that is not a known type")
        made.state |= state

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise NoEquivalentError("a pickled value extends something that is not a list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise NoEquivalentError("a pickled value extends something that is not a dict")
        keys = values[::2]
        if not all(each is None or isinstance(each, str | bytes | int | float) for each in keys):
            raise NoEquivalentError("a pickled dict has a key that is not a text or a number")
        target.update(zip(keys, values[1::2], strict=True))


def _state(value: Any) -> Any:
    return value.state if isinstance(value, Instance) else None


def _attribute(owner: Any, name: Any) -> Global:
    """Return ``ZoneInfo._unpickle``, the only attribute that a time zone's pickle asks for."""
    if owner != Global("zoneinfo.ZoneInfo") or name != "_unpickle":
        raise NoEquivalentError("a pickled value reads an attribute")
    return Global("zoneinfo.ZoneInfo._unpickle")


def _zone(name: Any, *_: Any) -> ZoneInfo:
    if not isinstance(name, str):
        raise NoEquivalentError("a pickled time zone has no name")
    check_zone(name)
    return ZoneInfo(name)


def _utc(*_: Any) -> timezone:
    return UTC


_CALLS: Mapping[str, Callable[..., Any]] = {
    "builtins.getattr": _attribute,
    "datetime.date": date,
    "datetime.datetime": datetime,
    "datetime.time": time,
    "datetime.timedelta": timedelta,
    "datetime.timezone": timezone,
    "zoneinfo.ZoneInfo": _zone,
    "zoneinfo.ZoneInfo._unpickle": _zone,
    "backports.zoneinfo.ZoneInfo": _zone,
    "pytz._p": _zone,
    "pytz._UTC": _utc,
    "pytz._FixedOffset": lambda minutes, *_: timezone(timedelta(minutes=minutes)),
    "dateutil.tz.tz.tzutc": _utc,
}
"""Functions by the names of those that they stand for; they have no effects."""

_CONSTANTS = frozenset(
    ("BININT", "BININT1", "BININT2", "LONG1", "INT", "LONG", "BINFLOAT", "FLOAT", "UNICODE")
) | frozenset(("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"))
_CONSTANTS |= frozenset(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"))
_STEPS: Mapping[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "NONE": lambda machine, _: machine.push(None),
    "NEWTRUE": lambda machine, _: machine.push(True),
    "NEWFALSE": lambda machine, _: machine.push(False),
    "MARK": lambda machine, _: machine.push(_Mark),
    "EMPTY_TUPLE": lambda machine, _: machine.push(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.push(machine.take(1)),
    "TUPLE2": lambda machine, _: machine.push(machine.take(2)),
    "TUPLE3": lambda machine, _: machine.push(machine.take(3)),
    "APPEND": lambda machine, _: machine.append([machine.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.pop_to_mark()),
    "SETITEM": lambda machine, _: machine.set_items([*machine.take(2)]),
    "SETITEMS": lambda machine, _: machine.set_items(machine.pop_to_mark()),
    "MEMOIZE": lambda machine, _: machine.memoize(None),
    "BINPUT": lambda machine, place: machine.memoize(place),
    "LONG_BINPUT": lambda machine, place: machine.memoize(place),
    "BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "LONG_BINGET": lambda machine, place: machine.push(machine.memo[place]),
    "GLOBAL": lambda machine, names: machine.find(*names.split(" ", 1)),
    "STACK_GLOBAL": lambda machine, _: machine.stack_global(),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.new_object(),
    "BUILD": lambda machine, _: machine.build(),
}
