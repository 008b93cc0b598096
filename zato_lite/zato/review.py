"""Review of service files written for Zato: what would fail at the first call, found before."""

import ast
import builtins
import dis
import inspect
import symtable
import sys
import typing
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from importlib.util import decode_source
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from zato_lite.service.base import Service as AnyService
from zato_lite.zato.not_offered import (
    CALLS,
    CLASS_ATTRIBUTES,
    PATHS,
    of_module,
    of_name,
    sentence,
)
from zato_lite.zato.service import NotOffered, Service

IsService = Callable[[str], bool]
"""Returns True for the name of a deployed service."""

_PYTHON_2_CODECS = frozenset({"base64", "bz2", "hex", "rot13", "zip", "zlib"})
_ELEMENT = frozenset({"attrib", "getchildren", "iterchildren", "tail", "text", "xpath"})
"""Attributes of elements of XML."""

_PAYLOAD = ("self", "request", "payload")
_INVOKES = frozenset({("self", "invoke"), ("self", "invoke_async")})
_FROM = "cannot import name "
_OWN = "zato_lite"
_OF_OTHERS = frozenset({*typing.__all__, "Event", "Path"})
"""Names that a file without their import more likely means of a module of Python."""

_found: "WeakKeyDictionary[ModuleType, list[_Remark]]" = WeakKeyDictionary()


class _Remark(NamedTuple):
    """A sentence about a line of a file."""

    line: int
    text: str


def remarks_of(cls: type[AnyService[Any, Any]], is_service: IsService) -> list[str]:
    """Return what a service written for Zato uses that does not exist, each with its line."""
    module = sys.modules.get(cls.__module__)
    if not issubclass(cls, Service) or not (module and module.__file__):
        return []
    if module not in _found:
        source = decode_source(Path(module.__file__).read_bytes())
        _found[module] = sorted(
            {*_undefined(source, module), *_not_offered(source, module, is_service)}
        )
    return [f"line {line}: {text}" for line, text in _found[module]]


def explain_import(error: BaseException) -> str:
    """Return the sentence about an import that failed, or that is missing; else an empty text."""
    if isinstance(error, NameError) and error.name in _public(_OWN) - _OF_OTHERS:
        return f"{error}; import it: from {_OWN} import {error.name}"
    if not isinstance(error, ImportError) or not error.name:
        return ""
    if isinstance(error, ModuleNotFoundError):
        return of_module(error.name)
    name = "".join(str(error).partition(_FROM)[2].split("'")[1:2])
    return of_name(error.name, name) or _of_own_name(error.name, name)


def _of_own_name(module: str, name: str) -> str:
    """Return the sentence about a name that a module of zato-lite does not have."""
    if module.partition(".")[0] != _OWN or not name:
        return ""
    nearest = get_close_matches(name, sorted(_public(module)), n=1)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{module} has no {name!r}{hint}"


def _public(module: str) -> set[str]:
    found = sys.modules[module]
    return {name for name in getattr(found, "__all__", dir(found)) if not name.startswith("_")}


# Names that no line defines


def _undefined(source: str, module: ModuleType) -> Iterator[_Remark]:
    """Yield the global names of functions that the module does not have."""
    table = symtable.symtable(source, str(module.__file__), "exec")
    known = {*vars(module), *vars(builtins)}
    missing = {name for name, is_set in _globals(table) if name not in known and not is_set}
    missing -= {name for name, is_set in _globals(table) if is_set}
    if missing:
        code = compile(source, str(module.__file__), "exec", dont_inherit=True)
        for line, name in sorted(_loaded(code, missing)):
            yield _Remark(line, f"{name} is not defined")


def _globals(table: symtable.SymbolTable) -> Iterator[tuple[str, bool]]:
    """Yield the global names that functions use, and True for those that they assign."""
    for child in table.get_children():
        if child.get_type() == "function":
            for symbol in child.get_symbols():
                if symbol.is_global():
                    yield symbol.get_name(), symbol.is_assigned()
        yield from _globals(child)


def _loaded(code: CodeType, names: set[str]) -> Iterator[tuple[int, str]]:
    """Yield the lines at which functions load global names."""
    for each in dis.get_instructions(code):
        if each.opname == "LOAD_GLOBAL" and each.argval in names and each.positions:
            yield each.positions.lineno or 0, each.argval
        elif isinstance(each.argval, CodeType):
            yield from _loaded(each.argval, names)


# What zato-lite does not offer


def _not_offered(source: str, module: ModuleType, is_service: IsService) -> Iterator[_Remark]:
    tree = ast.parse(source)
    own = {each.attr for each in ast.walk(tree) if isinstance(each, ast.Attribute)
           and isinstance(each.ctx, ast.Store)}  # fmt: skip
    for node in tree.body:
        cls = getattr(module, getattr(node, "name", ""), None)
        if isinstance(node, ast.ClassDef) and isinstance(cls, type) and issubclass(cls, Service):
            own_names = own | {name for name in dir(cls) if not _is_lacking(cls, name)}
            hidden: set[tuple[str, ...]] = {("self", name) for name in own_names}
            for line, text in _Reader(hidden, is_service).read(node):
                yield _Remark(line, f"{node.name}: {text}")


def _is_lacking(cls: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(cls, name), NotOffered)


class _Reader:
    """Reads the syntax tree of a class.

    Args:
        hidden: expressions ``self.name`` whose names the class has itself.
        is_service: knows the deployed services.
    """

    def __init__(self, hidden: set[tuple[str, ...]], is_service: IsService) -> None:
        self._hidden, self._is_service = hidden, is_service
        self._aliases: dict[str, tuple[str, ...]] = {}

    def read(self, cls: ast.ClassDef) -> Iterator[_Remark]:
        """Yield the remarks about a class."""
        for node in cls.body:
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                yield from self._of_declaration(node)
            self._aliases = {}
            for each in ast.walk(node):
                if isinstance(each, ast.Assign):
                    self._remember(each)
            for each in ast.walk(node):
                for text in self._of(each):
                    yield _Remark(getattr(each, "lineno", 0), text)

    def _of_declaration(self, node: ast.Assign) -> Iterator[_Remark]:
        for target in node.targets:
            words = CLASS_ATTRIBUTES.get(getattr(target, "id", ""))
            value = getattr(node.value, "value", None)
            if words and isinstance(value, str):
                yield _Remark(node.lineno, sentence(f"{ast.unparse(target)} = {value!r}", words))

    def _remember(self, node: ast.Assign) -> None:
        """Remember a name that stands for an expression; not one that has two meanings."""
        for target in node.targets:
            if isinstance(target, ast.Name):
                path = self._path(node.value)
                self._aliases[target.id] = () if target.id in self._aliases else path

    def _path(self, node: ast.AST) -> tuple[str, ...]:
        """Return the names of ``a.b.c``; an empty tuple for any other expression."""
        if isinstance(node, ast.Name):
            return self._aliases.get(node.id) or (node.id,)
        if isinstance(node, ast.Attribute) and (path := self._path(node.value)):
            return (*path, node.attr)
        return ()

    def _of(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Attribute):
            path = self._path(node)
            if path in PATHS and path not in self._hidden:
                yield sentence(".".join(path), PATHS[path])
            if path[:3] == _PAYLOAD and len(path) > 4 and path[-1] in _ELEMENT:  # noqa: PLR2004
                yield _xml(".".join(path))
        elif isinstance(node, ast.Call):
            yield from self._of_call(node)

    def _is_missing(self, name: object) -> bool:
        is_zato = isinstance(name, str) and name.startswith("zato.")
        return is_zato and not self._is_service(str(name))

    def _of_call(self, node: ast.Call) -> Iterator[str]:
        first = node.args[0] if node.args else None
        said: object = first.value if isinstance(first, ast.Constant) else None
        if isinstance(node.func, ast.Attribute):
            name, path = node.func.attr, self._path(node.func)
            if name in CALLS:
                yield sentence(name, CALLS[name])
            elif name in {"decode", "encode"} and said in _PYTHON_2_CODECS:
                yield f"{name}({said!r}) is Python 2's; use the module base64, binascii or zlib"
            elif path in _INVOKES and self._is_missing(said):
                yield f"service {said!s} is one of Zato's, and does not exist here"
        elif getattr(node.func, "id", "") == "getattr" and len(node.args) > 1:
            named = getattr(node.args[1], "value", "")
            if first is not None and self._path(first)[:3] == _PAYLOAD and "{" in str(named):
                yield _xml(f"{'.'.join(self._path(first))}: {named!r}")


def _xml(what: str) -> str:
    return f"{what} is an element of XML, which is not parsed here; use a library, such as lxml"
