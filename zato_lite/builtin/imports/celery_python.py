"""Periodic tasks in Python files, read from the syntax tree: nothing of the file is executed.

An expression that cannot be evaluated makes its entry, not the file, unreadable.
"""

import ast
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

from zato_lite.builtin.imports.celery_schedule import Crontab, Every, Periodic
from zato_lite.builtin.imports.entry import NoEquivalentError, quoted
from zato_lite.builtin.imports.python_values import Evaluator, Unknown, last_name, unknown_in
from zato_lite.errors import BadInputError

_MAX_SIZE = 1_000_000
_SCHEDULES = frozenset({"beat_schedule", "CELERYBEAT_SCHEDULE", "CELERY_BEAT_SCHEDULE"})
_ZONES = frozenset({"timezone", "CELERY_TIMEZONE"})


class Found(NamedTuple):
    """The tasks of a file, each with a place and a function that reads it, and the time zone."""

    tasks: list[tuple[str, Callable[[], Periodic]]]
    timezone: str | None


def tasks(text: str) -> Found:
    """Return the periodic tasks of a Python file.

    Raises:
        BadInputError: it is not valid Python.
    """
    if len(text) > _MAX_SIZE:
        raise BadInputError(f"a Python file of at most {_MAX_SIZE} characters is expected")
    try:
        tree = ast.parse(text)
        reader = _Reader()
        reader.block(tree.body, "")
    except SyntaxError as error:
        raise BadInputError(
            f"not JSON and not valid Python: {error.msg} in line {error.lineno}; a file with "
            f"beat_schedule is expected"
        ) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise BadInputError(f"the Python file cannot be read: {error}") from None
    return Found(reader.found, reader.timezone)


class _Reader:
    """Reader of one file: its assigned names, and the tasks found so far."""

    def __init__(self) -> None:
        self.values = Evaluator()
        self.places: dict[str, int] = {}
        self.found: list[tuple[str, Callable[[], Periodic]]] = []
        self.timezone: str | None = None

    # ---- statements

    def block(self, body: list[ast.stmt], condition: str) -> None:
        for statement in body:
            self.statement(statement, condition)

    def statement(self, node: ast.stmt, condition: str) -> None:
        match node:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self.assign(target, value, condition)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                self.assign(target, value, condition)
            case ast.Expr(value=ast.Call() as call):
                self.call(call, condition)
            case ast.ClassDef(body=body):
                self.block(body, condition)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                self.values.names[node.name] = Unknown(f"{node.name}()")
                self.function(node)
            case ast.If() | ast.Try() | ast.With() | ast.For() | ast.While():
                kind = type(node).__name__.lower()
                inside = condition or f"it is inside `{kind}` in line {node.lineno}"
                for part in ("body", "handlers", "orelse", "finalbody"):
                    for each in getattr(node, part, []):
                        inner = each.body if isinstance(each, ast.ExceptHandler) else [each]
                        self.block(inner, "" if kind == "with" else inside)
            case _:
                pass  # imports, loops' controls and the like assign nothing that is read here

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Read the calls of ``add_periodic_task`` in a function; a schedule in it is refused."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and last_name(inner.func) == "add_periodic_task":
                self.add_periodic(inner, "")
            targets = inner.targets if isinstance(inner, ast.Assign) else []
            for target in targets:
                owner = target.value if isinstance(target, ast.Subscript) else target
                if last_name(owner) in _SCHEDULES and isinstance(inner, ast.Assign):
                    text = (
                        f"the schedule is assigned inside the function {node.name}, which is not "
                        "run; assign it in the module"
                    )
                    self.refuse(f"line {inner.lineno}", text)

    def assign(self, target: ast.expr, node: ast.expr, condition: str) -> None:
        name = last_name(target)
        if name in _SCHEDULES:
            self.schedule(node, condition)
        elif name in _ZONES:
            self.zone(node)
        elif isinstance(target, ast.Name):
            self.values.names[target.id] = self.values.value(node)
        elif isinstance(target, ast.Subscript) and last_name(target.value) in _SCHEDULES:
            self.entry(target.slice, node, condition)

    def call(self, node: ast.Call, condition: str) -> None:
        name = last_name(node.func)
        owner = last_name(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if name == "add_periodic_task":
            self.add_periodic(node, condition)
        elif name == "update" and owner in _SCHEDULES:
            for key, value in self.pairs(node):
                self.entry(key, value, condition)
        elif name == "update" and owner == "conf":
            for key, value in self.pairs(node):
                setting = self.values.value(key)
                if setting in _SCHEDULES:
                    self.schedule(value, condition)
                elif setting in _ZONES:
                    self.zone(value)

    def pairs(self, node: ast.Call) -> Iterator[tuple[ast.expr, ast.expr]]:
        """Yield the keys and values that a call of ``update`` or ``dict`` sets."""
        for argument in node.args:
            if isinstance(argument, ast.Dict) and None not in argument.keys:
                yield from zip(filter(None, argument.keys), argument.values, strict=True)
            else:
                self.refuse(
                    f"line {node.lineno}", f"`{ast.unparse(argument)}` is not evaluated; a dict is"
                )
        for keyword in node.keywords:
            if keyword.arg is None:
                text = f"`**{ast.unparse(keyword.value)}` is not evaluated"
                self.refuse(f"line {node.lineno}", text)
            else:
                yield ast.Constant(keyword.arg, lineno=node.lineno), keyword.value

    def zone(self, node: ast.expr) -> None:
        found = self.values.value(node)
        if isinstance(found, str):
            self.timezone = found
        elif found is not None:
            source = found.source if isinstance(found, Unknown) else quoted(found)
            self.refuse(
                f"line {node.lineno}",
                f"the time zone `{source}` is not evaluated; put its name there or import with "
                "timezone and without this line",
            )

    def schedule(self, node: ast.expr, condition: str) -> None:
        """Read the entries of a schedule: a dict, or a name that is one."""
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if key is None:
                    self.schedule(value, condition)
                else:
                    self.entry(key, value, condition)
            return
        if isinstance(node, ast.Call) and last_name(node.func) == "dict":
            for name, value in self.pairs(node):
                self.entry(name, value, condition)
            return
        found = self.values.value(node)
        if isinstance(found, dict):
            for name, values in found.items():
                self.add(str(name), values, condition)
        else:
            source = found.source if isinstance(found, Unknown) else ast.unparse(node)
            self.refuse(
                f"line {node.lineno}", f"the schedule `{source}` is not evaluated; a dict is read"
            )

    def entry(self, key: ast.expr, node: ast.expr, condition: str) -> None:
        name = self.values.value(key)
        if isinstance(name, Unknown):
            self.refuse(f"line {node.lineno}", f"the name `{name.source}` is not evaluated")
        else:
            self.add(str(name), self.values.value(node), condition)

    def add(self, name: str, values: Any, condition: str) -> None:
        if (earlier := self.places.get(name)) is not None:
            text = "the name comes again further down; Python keeps the last one"
            self.found[earlier] = (name, partial(_refuse, text))
        self.places[name] = len(self.found)
        self.found.append((name, partial(_periodic, name, values, condition)))

    def refuse(self, place: str, text: str) -> None:
        self.found.append((place, partial(_refuse, text)))

    def add_periodic(self, node: ast.Call, condition: str) -> None:
        values = {
            key.arg: self.values.value(key.value) for key in node.keywords if key.arg is not None
        }
        schedule = self.values.value(node.args[0]) if node.args else values.pop("schedule", None)
        task = node.args[1] if len(node.args) > 1 else None
        signature = self.signature(task)
        place = f"line {node.lineno}"
        positional = [self.values.value(each) for each in node.args[2:]]
        make = partial(_added, signature, schedule, (values, positional), condition)
        self.found.append((place, make))

    def signature(self, node: ast.expr | None) -> Any:
        """Return the task and its arguments of ``task.s(…)``, ``.si(…)`` or ``.signature(…)``."""
        value = self.values.value
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="s" | "si"), args=args):
                kwargs = {each.arg or "**": value(each.value) for each in node.keywords}
                return ast.unparse(owner), [value(each) for each in args], kwargs
            case ast.Call(func=ast.Attribute(value=owner, attr="signature" | "subtask")):
                sent = {each.arg or "**": value(each.value) for each in node.keywords}
                sent |= dict(zip(("args", "kwargs"), map(value, node.args), strict=False))
                if not set(sent) - {"args", "kwargs"}:
                    return ast.unparse(owner), sent.get("args", []), sent.get("kwargs", {})
            case ast.Name() | ast.Attribute():
                return ast.unparse(node), [], {}
            case _:
                pass
        return Unknown(ast.unparse(node) if node is not None else "")


def _refuse(text: str) -> Periodic:
    raise NoEquivalentError(text)


def _periodic(name: str, sent: Any, condition: str) -> Periodic:
    if isinstance(sent, Unknown) or not isinstance(sent, dict) or "task" not in sent:
        source = f": `{sent.source}` is not evaluated" if isinstance(sent, Unknown) else ""
        raise NoEquivalentError(f"not a valid entry; task and schedule are required{source}")
    values = dict(sent)
    schedule = _schedule(values.pop("schedule", None))
    notes = [f"read although {condition}"] if condition else []
    return Periodic(name, schedule, _evaluated(values, notes), {}, tuple(notes))


def _added(
    signature: Any, schedule: Any, more: tuple[dict[str, Any], list[Any]], condition: str
) -> Periodic:
    """Return the task of a call of ``add_periodic_task``."""
    if isinstance(signature, Unknown):
        raise NoEquivalentError(f"the task `{signature.source}` is not evaluated")
    values, positional = more
    if positional:  # args, kwargs, name, as in Celery's signature
        values |= dict(zip(("args", "kwargs", "name"), positional, strict=False))
    task, args, kwargs = signature
    args = [*args, *(values.pop("args", None) or ())]
    kwargs = {**kwargs, **(values.pop("kwargs", None) or {})}
    name = values.pop("name", None) or task
    if isinstance(name, Unknown):
        raise NoEquivalentError(f"the name `{name.source}` is not evaluated")
    notes = [f"the task's name is read as {task}"] + (
        [f"read although {condition}"] if condition else []
    )
    values |= {"task": task, "args": args, "kwargs": kwargs}
    return Periodic(str(name), _schedule(schedule), _evaluated(values, notes), {}, tuple(notes))


def _schedule(value: Any) -> Every | Crontab:
    if isinstance(value, Every | Crontab):
        return value
    if isinstance(value, timedelta):
        return Every(value)
    if type(value) in (int, float):
        return Every(timedelta(seconds=value))
    if isinstance(value, Unknown):
        kind = value.source.partition("(")[0].rpartition(".")[2]
        if kind == "solar":
            raise NoEquivalentError("a solar schedule has no equivalent")
        raise NoEquivalentError(
            f"the schedule `{value.source}` is not evaluated; crontab(…), timedelta(…), "
            f"schedule(…) and numbers are read"
        )
    raise NoEquivalentError(f"schedule is neither seconds nor crontab: {quoted(value)}")


def _evaluated(values: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return the values without those that are not evaluated; a task's arguments must be.

    Raises:
        NoEquivalentError: an argument of the task is not evaluated.
    """
    for key in ("task", "args", "kwargs", "enabled"):
        if (unknown := unknown_in(values.get(key))) is not None:
            raise NoEquivalentError(f"{key}: `{unknown.source}` is not evaluated")
        values[key] = _plain(key, values[key]) if key in values else None
    return {key: value for key, value in values.items() if value is not None}


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(key, each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(key, each) for each in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise NoEquivalentError(f"{key}: a {type(value).__name__} is not a value of JSON")
