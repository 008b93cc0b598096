"""Service files of a folder: paths, versions, module names, and the modules that each imports."""

import ast
import importlib.util
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

FileStamp = tuple[int, int, int] | None
"""Modification time, size and inode, which identify a version of a file; None: not a file."""


class Source(NamedTuple):
    """A version of a file: its stamp, its module's name, and the names that it imports."""

    stamp: FileStamp
    name: str
    imports: frozenset[str] = frozenset()


def is_service_file(path: Path, folder: Path) -> bool:
    """Return True for a path of a Python file below the folder that is not hidden."""
    if path.suffix != ".py" or not path.is_relative_to(folder):
        return False
    parts = path.relative_to(folder).parts
    return not any(part.startswith((".", "__")) and part != "__init__.py" for part in parts)


def stamps(folder: Path) -> dict[Path, FileStamp]:
    """Return the stamp of each service file below a folder, in the order of their paths."""
    paths = sorted(path for path in folder.rglob("*.py") if is_service_file(path, folder))
    found = {path: stamp_of(path) for path in paths}
    return {path: stamp for path, stamp in found.items() if stamp is not None}


def stamp_of(path: Path) -> FileStamp:
    """Return the stamp of a file as it is now."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def sources(
    folder: Path,
    seen: Mapping[Path, FileStamp],
    known: Mapping[Path, Source],
    named: Collection[Path] = (),
) -> dict[Path, Source]:
    """Return the sources of the files seen; known versions are read again only if named."""
    found = {}
    for path, stamp in seen.items():
        before = known.get(path)
        if before is not None and before.stamp == stamp and path not in named:
            found[path] = before
            continue
        name = before.name if before is not None else _module_name(path, folder)
        found[path] = Source(stamp, name, frozenset(_imported_names(path, name)))
    return found


def make_importable(folder: Path) -> None:
    """Let the folder's files import each other; installed packages go first."""
    text = str(folder.resolve())
    if text not in sys.path:
        sys.path.append(text)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file in one step, so that a reader sees the old version or the new one.

    Raises:
        OSError: the file cannot be written; the old version is in place.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def shown(path: Path | str) -> str:
    """Return a path as text that can be encoded; bytes that are not UTF-8 are escaped."""
    return str(path).encode(errors="backslashreplace").decode()


def _module_name(path: Path, folder: Path) -> str:
    """Return the file's dotted path, with the folder's name if an installed module has it."""
    parts = [*path.relative_to(folder).parent.parts, path.stem]
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    name = ".".join(parts)
    return f"{folder.name}.{name}" if _is_installed(parts[0], folder) else name


def _is_installed(top: str, folder: Path) -> bool:
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


def _imported_names(path: Path, name: str) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return  # the import will report the same error
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *([node.module or ""])]).strip(".")
            yield base
            yield from (f"{base}.{alias.name}".strip(".") for alias in node.names)
