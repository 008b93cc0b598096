"""Watcher: refreshes a deployer when its folder changes. Only module that imports watchfiles."""

import asyncio
import stat
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import watchfiles

from zato_lite.deploy.deployer import Deployer
from zato_lite.service.supervisor import Supervisor

_DEBOUNCE_MS, _STEP_MS = 400, 200

_PAUSE_S = 0.05
"""Seconds without a change after which files count as written."""

_MISSING_FOLDER_S = 0.1
"""Seconds between checks for a folder that is missing."""

_IDENTITY_S = 2.0
"""Seconds between checks that the folder is still the same one."""


@asynccontextmanager
async def watching(deployer: Deployer) -> AsyncIterator[None]:
    """Refresh the deployer whenever its folder changes, as long as the block lasts.

    Watching starts again after an error, when another folder has taken the place of the watched
    one, and when a service has cancelled all tasks.
    """
    async with Supervisor("file watcher", lambda: _watch(deployer)):
        yield


async def _watch(deployer: Deployer) -> None:
    """Watch the folder until another one takes its place."""
    if _identity(deployer.folder) is None:
        await _wait_for_folder(deployer)
    watch = _FolderWatch(deployer)
    try:
        await deployer.refresh(pause=_PAUSE_S)
        while (paths := await watch.changed()) is not None:
            await deployer.refresh(paths, pause=_PAUSE_S)
    finally:
        watch.close()


async def _wait_for_folder(deployer: Deployer) -> None:
    """Wait until the folder exists; its services are removed if that takes long."""
    try:
        async with asyncio.timeout(deployer.doubt):
            await _folder_exists(deployer.folder)
    except TimeoutError:
        await deployer.refresh()
        await _folder_exists(deployer.folder)


async def _folder_exists(folder: Path) -> None:
    while _identity(folder) is None:  # noqa: ASYNC110 - a missing folder sends no events
        await asyncio.sleep(_MISSING_FOLDER_S)


class _FolderWatch:
    """Thread that watches a folder until another one takes its place.

    It is a daemon outside of any pool, so that the server can end without waiting for it.
    """

    def __init__(self, deployer: Deployer) -> None:
        self._deployer, self._folder = deployer, deployer.folder
        self._loop = asyncio.get_running_loop()
        self._identity = _identity(self._folder)
        self._stop = threading.Event()
        self._has_news = asyncio.Event()
        self._paths: set[Path] = set()
        self._error: BaseException | None = None
        self._has_ended = False
        threading.Thread(target=self._watch, name="zato-lite-watch", daemon=True).start()

    async def changed(self) -> set[Path] | None:
        """Wait for changes and return the paths; None when another folder is there.

        The first answer may be an empty set: files may have changed before watching started.

        Raises:
            RuntimeError: the folder cannot be watched; its cause is the reason.
        """
        await self._has_news.wait()
        self._has_news.clear()
        if self._error is not None:
            raise RuntimeError(f"{self._folder} cannot be watched") from self._error
        paths, self._paths = self._paths, set()
        return None if self._has_ended else paths

    def close(self) -> None:
        """Stop the thread."""
        self._stop.set()

    # In the thread

    def _watch(self) -> None:
        is_first = True
        try:
            for events in watchfiles.watch(
                self._folder,
                watch_filter=None,
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                stop_event=self._stop,
                rust_timeout=int(_IDENTITY_S * 1000),
                yield_on_timeout=True,
                raise_interrupt=False,
            ):
                paths = {path for _, text in events if self._is_relevant(path := Path(text))}
                is_same = _identity(self._folder) == self._identity
                if paths or is_first or not is_same:
                    self._send(paths, has_ended=not is_same)
                is_first = False
                if not is_same:
                    return
        except BaseException as error:  # noqa: BLE001 - raised again in the loop, by changed()
            self._send((), error=error)

    def _is_relevant(self, path: Path) -> bool:
        """Return True for Python files and for folders; a moved folder is a single event."""
        if "__pycache__" in path.parts:
            return False
        return path.suffix == ".py" or path.is_dir() or self._deployer.has_below(path)

    def _send(
        self,
        paths: Iterable[Path],
        *,
        has_ended: bool = False,
        error: BaseException | None = None,
    ) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._receive, paths, has_ended, error)

    # In the loop

    def _receive(
        self, paths: Iterable[Path], has_ended: bool, error: BaseException | None
    ) -> None:
        self._paths.update(paths)
        self._has_ended, self._error = has_ended, error
        self._has_news.set()


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return the device and inode of a folder; None if the folder does not exist."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None
