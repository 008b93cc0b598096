"""The language rule of CONTRIBUTING as code: finds the sentences of a file that break it."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

OPENINGS = re.compile(r"(What|Whether|Whoever|How|Who|Whose|Those|Where|Which|That)\b")
_PEOPLE = "whoever|somebody|nobody|anybody|everybody"
WORDS = re.compile(
    rf"\b({_PEOPLE}|anew|at once|so many|so long|so much|go(?:es)? on|told|tells?|of its own"
    r"|by itself|by themselves|what came of|(?:is|are) no|(?:is|are) nothing)\b",
    re.IGNORECASE,
)
NAMES = re.compile(
    rf"_({_PEOPLE}|anew|at_once|so_many|so_long|so_much|goes?_on|told|tells?|of_its_own"
    r"|by_itself|what_came_of|is_no|are_no)(?=_|$)"
)
LOGGING = {"debug", "info", "warning", "error", "exception", "critical"}
HELP = {"help", "description", "summary"}


def mistakes(path: Path) -> Iterator[str]:
    """Yield ``line: kind: sentence`` for every sentence of a Python file that breaks the rule."""
    tree = ast.parse(path.read_text("utf-8"))
    for line, kind, text in _sentences(tree):
        for sentence in re.split(r"(?<=[.!?])\s+", text):
            if kind == "docstring" and OPENINGS.match(sentence):
                yield f"{path}:{line}: {kind} opens with a relative clause: {sentence!r}"
            if found := WORDS.search(sentence):
                yield f"{path}:{line}: {kind} says {found[0]!r}: {sentence!r}"


def bad_names(path: Path) -> Iterator[str]:
    """Yield the tests whose names use words that the rule forbids."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        is_function = ast.FunctionDef | ast.AsyncFunctionDef
        if isinstance(node, is_function) and (found := NAMES.search(node.name)):
            yield f"{path}:{node.lineno}: {node.name} says {found[1]!r}"


def _sentences(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if text := ast.get_docstring(node):
                yield getattr(node, "lineno", 1), "docstring", text
            yield from _of_constants(node.body)
        elif isinstance(node, ast.Call):
            yield from _of_call(node)


def _of_constants(body: list[ast.stmt]) -> Iterator[tuple[int, str, str]]:
    for before, after in pairwise(body):
        if isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
            yield from ((after.lineno, "docstring", text) for text in _texts(after.value))


def _of_call(node: ast.Call) -> Iterator[tuple[int, str, str]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else _name(node.func)
    if name in LOGGING and node.args:
        yield from ((node.lineno, "log event", text) for text in _texts(node.args[0]))
    elif name.endswith(("Error", "refuse", "Exception")):
        yield from ((node.lineno, "error text", text) for a in node.args for text in _texts(a))
    for keyword in node.keywords:
        if keyword.arg in HELP:
            yield from ((node.lineno, "help text", text) for text in _texts(keyword.value))


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ""


def _texts(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
        return ["".join(str(part) for part in parts)]
    return []
