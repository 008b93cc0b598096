"""A folder of files kept deployed: each file's services are swapped in whole, or not at all."""

import ast
import asyncio
import logging
import stat
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from zato_lite.errors import ForbiddenError
from zato_lite.service.blocking import WorkerPool
from zato_lite.service.discovery import (
    Failure,
    execute,
    failure,
    is_service_file,
    module_name,
    service_files,
    services_in,
    with_folder_importable,
)
from zato_lite.service.logger import service_logger
from zato_lite.service.registry import AnyService, Registry

_log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a file may take to be imported."""


class FileStatus(NamedTuple):
    """A file of the folder, the services that are served from it, and what is wrong with it.

    With both, an earlier version is served on.
    """

    source: str
    services: tuple[str, ...]
    failure: Failure | None


class Changes(NamedTuple):
    """What a refresh came to: files deployed, files that are gone, and files that failed."""

    deployed: tuple[Path, ...] = ()
    gone: tuple[Path, ...] = ()
    failed: tuple[Path, ...] = ()


Look = tuple[int, int, int] | None
"""What tells versions of a file apart: when it was written, its size, its inode; None: no file."""

_MOST_LOOKS = 40


class Deployer:
    """Keeps the registry as the folder is.

    Args:
        registry: where services are put.
        folder: where their files are.
        patience: seconds that a file may take to be imported.
        accepts_uploads: files may be put into the folder through the server.
    """

    def __init__(
        self,
        registry: Registry,
        folder: Path,
        *,
        patience: float = PATIENCE,
        accepts_uploads: bool = False,
    ) -> None:
        self.folder = folder.resolve()
        self.accepts_uploads = accepts_uploads
        self.failures: dict[Path, Failure] = {}
        self._registry = registry
        self._patience = patience
        self._names: dict[Path, str] = {}
        self._read: dict[Path, tuple[Look, frozenset[str]]] = {}
        self._threads = WorkerPool(1)
        self._turn = asyncio.Lock()

    async def deploy(self) -> Changes:
        """Deploy all that is in the folder."""
        return await self.refresh(service_files(self.folder))

    async def refresh(self, paths: Collection[Path], *, pause: float = 0.0) -> Changes:
        """Deploy files that are new or have changed, and what imports them; undeploy lost ones.

        What is in flight finishes with the version that it began with. Files that nobody spoke
        of are noticed when they are new or lost: whole folders come and go without a word.

        Files that are being written are waited for until they have not changed for ``pause``
        seconds; one that changes again after that is left for the refresh that follows.
        """
        async with self._turn:
            with_folder_importable(self.folder)
            there = {*service_files(self.folder)}
            known = {*self._names}
            wanted = {path for path in paths if is_service_file(path, self.folder)}
            looks = await self._settled((wanted | there | known) - (there & known - wanted), pause)
            gone = [path for path in sorted(looks) if not looks[path] and self._undeploy(path)]
            deployed, failed = [], []
            fresh = {*gone}
            names = {**self._module_names()}
            imports = await self._threads.run(lambda: self._imports(names))
            for path in _in_order(imports):
                if path in looks or imports[path] & fresh:
                    match await self._deploy(path, looks.get(path)):
                        case True:
                            fresh.add(path)
                            deployed.append(path)
                        case False:
                            failed.append(path)
                        case None:
                            pass
            return Changes(tuple(deployed), tuple(gone), tuple(failed))

    async def upload(self, name: str, data: bytes) -> Changes:
        """Put a file into the folder, in one step, and deploy it.

        Raises:
            ForbiddenError: files are not accepted, or not under this name.
        """
        path = self.folder / name
        if not self.accepts_uploads:
            raise ForbiddenError("this server does not accept uploads")
        if path.parent != self.folder or not is_service_file(path, self.folder):
            raise ForbiddenError(f"not a name for a file of services: {name!r}")

        def put() -> None:
            part = path.with_name(f".{name}.part")
            part.write_bytes(data)
            part.replace(path)

        await self._threads.run(put)
        return await self.refresh([path])

    def status(self) -> list[FileStatus]:
        """Each file of the folder, in order."""
        return [
            FileStatus(
                str(path),
                tuple(entry.name for entry in self._registry.of(str(path))),
                self.failures.get(path),
            )
            for path in sorted({*self._names, *self.failures})
        ]

    def _module_names(self) -> dict[Path, str]:
        for path in service_files(self.folder):
            if path not in self._names:
                self._names[path] = module_name(path, self.folder)
        return self._names

    async def _settled(self, paths: Collection[Path], pause: float) -> dict[Path, Look]:
        """How the files look once they look the same for a while; no longer than a few times."""
        looks = await self._threads.run(lambda: {path: _look(path) for path in paths})
        for _ in range(_MOST_LOOKS if pause else 0):
            before = looks
            await asyncio.sleep(pause)
            looks = await self._threads.run(lambda: {path: _look(path) for path in paths})
            if looks == before:
                break
        return looks

    async def _deploy(self, path: Path, look: Look) -> bool | None:
        """Whether it was deployed; None if it is being written."""
        try:
            classes = await self._imported(path)
            if look and await self._threads.run(lambda: _look(path)) != look:
                return None
            entries = self._registry.replace(str(path), classes)
            for entry in entries:
                entry.cls.after_add_to_store(service_logger(entry.name))
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the file's
            if look and await self._threads.run(lambda: _look(path)) != look:
                return None
            self.failures[path] = found = failure(path, error)
            _log.error(
                "file not deployed",
                extra={"source": str(path), "reason": found.message, "details": found.details},
            )
            return False
        self.failures.pop(path, None)
        names = [entry.name for entry in entries]
        _log.info("file deployed", extra={"source": str(path), "services": names})
        return True

    async def _imported(self, path: Path) -> list[type[AnyService]]:
        """The services of a file, imported in a thread: it may take long, hang, or exit."""
        name = self._names[path]

        def load() -> list[type[AnyService]]:
            if not path.resolve().is_relative_to(self.folder):
                raise PermissionError(f"{path} leads out of the folder")
            try:
                return list(services_in(execute(path, name)))
            except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
                raise ImportError(f"{path.name} raised {error!r} when imported") from error

        try:
            async with asyncio.timeout(self._patience):
                return await self._threads.run(load)
        except TimeoutError as error:
            message = f"{path.name} was not imported within {self._patience:g} s"
            raise TimeoutError(message) from error

    def _imports(self, names: Mapping[Path, str]) -> dict[Path, set[Path]]:
        """Which of the files each file imports; one that has not changed is not read again."""
        paths = {name: path for path, name in names.items()}
        found = {}
        for path, name in names.items():
            look = _look(path)
            if look is None:
                continue
            version, imported = self._read.get(path, (None, frozenset()))
            if version != look:
                imported = frozenset(_imported_names(path, name))
                self._read[path] = (look, imported)
            found[path] = {paths[other] for other in imported if other in paths} - {path}
        return {path: {o for o in others if o in found} for path, others in found.items()}

    def _undeploy(self, path: Path) -> bool:
        name = self._names.pop(path, None)
        was_known = name is not None or path in self.failures
        self._registry.replace(str(path), ())
        self.failures.pop(path, None)
        self._read.pop(path, None)
        if name is not None:
            sys.modules.pop(name, None)
        if was_known:
            _log.info("file undeployed", extra={"source": str(path)})
        return was_known


def _look(path: Path) -> Look:
    try:
        found = path.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)


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


def _in_order(imports: Mapping[Path, set[Path]]) -> list[Path]:
    """Files after those that they import; in a circle, by name."""
    ordered: dict[Path, None] = {}

    def put(path: Path, on_the_way: frozenset[Path]) -> None:
        if path not in ordered and path not in on_the_way:
            for other in sorted(imports[path]):
                put(other, on_the_way | {path})
            ordered[path] = None

    for path in sorted(imports):
        put(path, frozenset())
    return list(ordered)
