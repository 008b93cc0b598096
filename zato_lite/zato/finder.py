"""Finds ``zato.…`` where nobody else does: real Zato, if it is installed, is left alone."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

from zato_lite.zato.names import MODULES


class _Loader(importlib.abc.Loader):
    """Makes a module of the names that it has."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """An ordinary module will do."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Put the names in."""
        vars(module).update(MODULES[module.__name__])


class ZatoFinder(importlib.abc.MetaPathFinder):
    """The last one to be asked for a module."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module, if it is one of Zato's that there is a substitute for."""
        if fullname not in MODULES:
            return None
        # A real Zato of which only this module is missing is not to be mixed with ours.
        parent = sys.modules.get("zato")
        if parent is not None and getattr(parent, "__file__", None):
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in MODULES)
        return importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=is_package)


def install() -> None:
    """From now on ``import zato.server.service`` works; calling it again changes nothing."""
    if not any(isinstance(finder, ZatoFinder) for finder in sys.meta_path):
        sys.meta_path.append(ZatoFinder())
    spec = importlib.util.find_spec("zato")
    if spec is not None and isinstance(spec.loader, _Loader):
        importlib.import_module("zato")  # a user's own file zato.py comes too late for the name


def uninstall() -> None:
    """Undo ``install``, and forget what was imported through it."""
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, ZatoFinder)]
    for name in MODULES:
        if isinstance(getattr(sys.modules.get(name), "__loader__", None), _Loader):
            del sys.modules[name]
