"""Which files are those of services, how one becomes a module, and which services are in it."""

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

from zato_lite.service.base import Service
from zato_lite.service.context import service_logger


class Failure(NamedTuple):
    """A file that could not be used: what is wrong in one line, and the whole traceback."""

    source: Path
    message: str
    details: str


def service_files(folder: Path) -> list[Path]:
    """The Python files below a folder, hidden and dunder folders left out."""
    return sorted(
        path for path in folder.rglob("*.py") if is_service_file(path, folder) and path.is_file()
    )


def is_service_file(path: Path, folder: Path) -> bool:
    """Whether a path is one of a Python file below the folder, and not a hidden one."""
    if path.suffix != ".py" or not path.is_relative_to(folder):
        return False
    parts = path.relative_to(folder).parts
    return not any(part.startswith((".", "__")) and part != "__init__.py" for part in parts)


def with_folder_importable(folder: Path) -> None:
    """Let the folder's files import each other; installed packages go first."""
    text = str(folder.resolve())
    if text not in sys.path:
        sys.path.append(text)


def failure(path: Path, error: BaseException) -> Failure:
    """What is to be said of a file that raised; the error may be of a class of its own."""
    try:
        message = f"{type(error).__name__}: {error}"
    except BaseException:  # noqa: BLE001 - it cannot even be said
        message = type(error).__name__
    details = "".join(traceback.format_exception(error))
    return Failure(path, _sendable(message), _sendable(details))


def _sendable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def module_name(path: Path, folder: Path) -> str:
    """The name to import a file by: its dotted path, unless something installed has that name."""
    parts = [*path.relative_to(folder).parent.parts, path.stem]
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    name = ".".join(parts)
    return f"{folder.name}.{name}" if _is_taken(parts[0], folder) else name


def _is_taken(top: str, folder: Path) -> bool:
    if top in sys.stdlib_module_names:
        return True
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return True
    if spec is None:
        return False
    places = [spec.origin] if spec.origin else list(spec.submodule_search_locations or ())
    inside = str(folder.resolve())
    return not any(place and place.startswith(inside) for place in places)


class Loading:
    """A file on its way to being the module ``name``.

    Raises:
        ImportError: it is no Python file.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._loader = _Source(name, str(path.resolve()))
        spec = importlib.util.spec_from_file_location(name, path.resolve(), loader=self._loader)
        if spec is None:
            raise ImportError(f"not a Python file: {path}")
        self.module = importlib.util.module_from_spec(spec)
        self._before: ModuleType | None = None

    def run(self) -> None:
        """Run it, as the module that others import; not if it raises."""
        self._before = sys.modules.get(self._name)
        sys.modules[self._name] = self.module
        try:
            self._loader.exec_module(self.module)
        except BaseException:
            self.withdraw()
            raise

    def withdraw(self) -> None:
        """Others are to import what was there before, unless there is something newer."""
        if sys.modules.get(self._name) is self.module:
            if self._before is None:
                del sys.modules[self._name]
            else:
                sys.modules[self._name] = self._before


class _Source(SourceFileLoader):
    """Reads the file itself, always: compiled files tell versions of one second apart by size."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def services_in(module: ModuleType) -> Iterator[type[Service[Any, Any]]]:
    """The services defined in the module itself; imported ones belong to their own file."""
    for value in list(vars(module).values()):
        if (
            isinstance(value, type)
            and issubclass(value, Service)
            and _is_deployable(value, module)
        ):
            yield value


def _is_deployable(cls: type[Service[Any, Any]], module: ModuleType) -> bool:
    if cls.__module__ != module.__name__ or cls.__dict__.get("DONT_DEPLOY"):
        return False
    if not any(name.startswith("handle") and name != "handle" for name in dir(cls)) and (
        cls.handle is Service.handle
    ):
        return False
    return cls.before_add_to_store(service_logger(cls.get_name())) is not False
