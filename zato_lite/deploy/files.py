"""The files of a folder: how they look, what they are called, and which of them import which."""

import ast
import stat
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from zato_lite.deploy.discovery import module_name, service_files

FileStamp = tuple[int, int, int] | None
"""What tells versions of a file apart: when it was written, its size, its inode; None: no file."""


class Source(NamedTuple):
    """A version of a file: how it looks, its name as a module, and the names that it imports."""

    look: FileStamp
    name: str
    imports: frozenset[str]


def looks(folder: Path) -> dict[Path, FileStamp]:
    """How each file of the folder looks now."""
    found = {path: look(path) for path in service_files(folder)}
    return {path: seen for path, seen in found.items() if seen is not None}


def look(path: Path) -> FileStamp:
    """How a file looks now."""
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
    anew: Collection[Path] = (),
) -> dict[Path, Source]:
    """All about the files that were seen; what is known is not read again, but for ``anew``."""
    found = {}
    for path, seen_look in seen.items():
        before = known.get(path)
        if before is not None and before.look == seen_look and path not in anew:
            found[path] = before
            continue
        name = before.name if before is not None else module_name(path, folder)
        found[path] = Source(seen_look, name, frozenset(_imported_names(path, name)))
    return found


def imports(files: Mapping[Path, Source]) -> dict[Path, set[Path]]:
    """Which of the files each one imports."""
    paths = {source.name: path for path, source in files.items()}
    return {
        path: {paths[name] for name in source.imports if name in paths} - {path}
        for path, source in files.items()
    }


def in_order(imported: Mapping[Path, set[Path]]) -> list[Path]:
    """Files after those that they import; in a circle, by name."""
    ordered: dict[Path, None] = {}

    def put(path: Path, on_the_way: frozenset[Path]) -> None:
        if path not in ordered and path not in on_the_way:
            for other in sorted(imported[path]):
                put(other, on_the_way | {path})
            ordered[path] = None

    for path in sorted(imported):
        put(path, frozenset())
    return list(ordered)


def shown(path: Path | str) -> str:
    """A path as text that can be sent, whatever bytes its name is made of."""
    return str(path).encode(errors="backslashreplace").decode()


def _imported_names(path: Path, name: str) -> Iterator[str]:
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError, RecursionError, MemoryError):
        return
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(above if node.level else []), *([node.module or ""])]).strip(".")
            yield base
            yield from (f"{base}.{alias.name}".strip(".") for alias in node.names)
