"""Import of ``zato.…``, ``bunch`` and ``anyjson``; installed ones take precedence."""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

from zato_lite.zato.names import LIBRARIES, MODULES

_ALL = {**MODULES, **LIBRARIES}


class _Loader(importlib.abc.Loader):
    """Loader that creates a module from its names."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """Return None, for an ordinary module."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Add the names to the module."""
        vars(module).update(_ALL[module.__name__])


class ZatoFinder(importlib.abc.MetaPathFinder):
    """Finder of these modules; it comes last in ``sys.meta_path``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Return the spec of the module, if it is one of them."""
        if fullname not in _ALL:
            return None
        # Do not add modules to a real Zato that lacks some of them.
        parent = sys.modules.get("zato")
        is_zato = fullname in MODULES
        if is_zato and parent is not None and getattr(parent, "__file__", None):
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in _ALL)
        return importlib.machinery.ModuleSpec(fullname, _Loader(), is_package=is_package)


def install() -> None:
    """Make ``import zato.server.service`` work; further calls change nothing."""
    if not any(isinstance(finder, ZatoFinder) for finder in sys.meta_path):
        sys.meta_path.append(ZatoFinder())
    spec = importlib.util.find_spec("zato")
    if spec is not None and isinstance(spec.loader, _Loader):
        importlib.import_module("zato")  # import now, before a user's own zato.py takes the name


def uninstall() -> None:
    """Undo ``install`` and remove the modules that were imported through it."""
    sys.meta_path[:] = [f for f in sys.meta_path if not isinstance(f, ZatoFinder)]
    for name in _ALL:
        if isinstance(getattr(sys.modules.get(name), "__loader__", None), _Loader):
            del sys.modules[name]
