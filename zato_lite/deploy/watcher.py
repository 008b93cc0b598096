"""Hot reload: the only module that knows watchfiles."""

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
_STEP_S = 0.1
"""While the folder is away, it is looked for so often."""

_LOOK_S = 2.0
"""The folder itself may be another one: it is looked at so often."""


@asynccontextmanager
async def watching(deployer: Deployer) -> AsyncIterator[None]:
    """Refresh the deployer whenever its folder changes, as long as the block lasts.

    Whatever goes wrong with that is logged, and it begins again: so it does when the folder is
    taken away and comes back, and when a service cancels all tasks that it finds.
    """
    async with Supervisor("file watcher", lambda: _watch(deployer)):
        yield


async def _watch(deployer: Deployer) -> None:
    """Watch the folder for as long as it is the same one."""
    if _identity(deployer.folder) is None:
        await _wait_for_folder(deployer)
    eyes = _Eyes(deployer)
    try:
        await deployer.refresh(pause=_PAUSE_S)
        while (paths := await eyes.changed()) is not None:
            await deployer.refresh(paths, pause=_PAUSE_S)
    finally:
        eyes.close()


async def _wait_for_folder(deployer: Deployer) -> None:
    """Wait until there is a folder; its services are kept for a little."""
    try:
        async with asyncio.timeout(deployer.doubt):
            await _folder_is_there(deployer.folder)
    except TimeoutError:
        await deployer.refresh()
        await _folder_is_there(deployer.folder)


async def _folder_is_there(folder: Path) -> None:
    while _identity(folder) is None:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(_STEP_S)


class _Eyes:
    """A thread that looks at a folder for as long as it is the same one.

    It is a daemon, and of no pool: it is never waited for when the server ends.
    """

    def __init__(self, deployer: Deployer) -> None:
        self._deployer, self._folder = deployer, deployer.folder
        self._loop = asyncio.get_running_loop()
        self._identity = _identity(self._folder)
        self._over = threading.Event()
        self._bell = asyncio.Event()
        self._paths: set[Path] = set()
        self._error: BaseException | None = None
        self._has_ended = False
        threading.Thread(target=self._look, name="zato-lite-watch", daemon=True).start()

    async def changed(self) -> set[Path] | None:
        """Wait for changes: the files; None when the folder is another one.

        The first answer may be of no files: there may have been changes before this began.

        Raises:
            RuntimeError: the folder cannot be watched; its cause says why.
        """
        await self._bell.wait()
        self._bell.clear()
        if self._error is not None:
            raise RuntimeError(f"{self._folder} is not watched") from self._error
        paths, self._paths = self._paths, set()
        return None if self._has_ended else paths

    def close(self) -> None:
        """Look no more."""
        self._over.set()

    # In the thread

    def _look(self) -> None:
        is_first = True
        try:
            for events in watchfiles.watch(
                self._folder,
                watch_filter=None,
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                stop_event=self._over,
                rust_timeout=int(_LOOK_S * 1000),
                yield_on_timeout=True,
                raise_interrupt=False,
            ):
                paths = {path for _, text in events if self._matters(path := Path(text))}
                is_same = _identity(self._folder) == self._identity
                if paths or is_first or not is_same:
                    self._hand_over(paths, has_ended=not is_same)
                is_first = False
                if not is_same:
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised in the loop
            self._hand_over((), error=error)

    def _matters(self, path: Path) -> bool:
        """Python files, and folders, which come and go as one; not what Python writes itself."""
        if "__pycache__" in path.parts:
            return False
        return path.suffix == ".py" or path.is_dir() or self._deployer.has_below(path)

    def _hand_over(
        self,
        paths: Iterable[Path],
        *,
        has_ended: bool = False,
        error: BaseException | None = None,
    ) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._take, paths, has_ended, error)

    # In the loop

    def _take(self, paths: Iterable[Path], has_ended: bool, error: BaseException | None) -> None:
        self._paths.update(paths)
        self._has_ended, self._error = has_ended, error
        self._bell.set()


def _identity(folder: Path) -> tuple[int, int] | None:
    """Which folder it is; None if there is none."""
    try:
        found = folder.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None
