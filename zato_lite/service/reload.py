"""Hot reload: the only module that knows watchfiles."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import watchfiles

from zato_lite.service.deployment import Changes, Deployer

_DEBOUNCE_MS, _STEP_MS = 400, 50
_PAUSE_S = 0.05


async def watch(
    deployer: Deployer, on_change: Callable[[Changes], None] = lambda changes: None
) -> None:
    """Refresh the deployer whenever its folder changes, until cancelled."""
    changed: asyncio.Queue[set[Path] | Exception] = asyncio.Queue()
    stop = Event()
    # A thread of its own: watchfiles' asynchronous half costs a start as much as all the rest.
    looking = Thread(
        target=_look,
        args=(deployer.folder, stop, asyncio.get_running_loop(), changed.put_nowait),
        name="watch",
        daemon=True,
    )
    looking.start()
    try:
        while True:
            match await changed.get():
                case Exception() as error:
                    raise error
                case paths:
                    on_change(await deployer.refresh(paths, pause=_PAUSE_S))
    finally:
        stop.set()


def _look(
    folder: Path,
    stop: Event,
    loop: asyncio.AbstractEventLoop,
    tell: Callable[[set[Path] | Exception], None],
) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is there to be told
        try:
            for events in watchfiles.watch(
                folder,
                watch_filter=lambda change, path: _matters(Path(path)),
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                stop_event=stop,
                raise_interrupt=False,
            ):
                loop.call_soon_threadsafe(tell, {Path(path) for _, path in events})
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            loop.call_soon_threadsafe(tell, error)


def _matters(path: Path) -> bool:
    """Python files, and folders, which come and go as one; not what Python writes itself."""
    return path.suffix in (".py", "") and "__pycache__" not in path.parts
