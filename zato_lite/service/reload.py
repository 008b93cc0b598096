"""Hot reload: the only module that knows watchfiles."""

from collections.abc import Callable
from pathlib import Path

from watchfiles import awatch

from zato_lite.service.deployment import Changes, Deployer

_DEBOUNCE_MS, _STEP_MS = 400, 50
_PAUSE_S = 0.05


async def watch(
    deployer: Deployer, on_change: Callable[[Changes], None] = lambda changes: None
) -> None:
    """Refresh the deployer whenever its folder changes, until cancelled."""
    async for events in awatch(
        deployer.folder,
        watch_filter=lambda change, path: _matters(Path(path)),
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
    ):
        on_change(await deployer.refresh({Path(path) for _, path in events}, pause=_PAUSE_S))


def _matters(path: Path) -> bool:
    """Python files, and folders, which come and go as one; not what Python writes itself."""
    return path.suffix in (".py", "") and "__pycache__" not in path.parts
