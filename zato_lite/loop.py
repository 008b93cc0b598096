"""Event loop of a serving process, which no service can stop or take signals from."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVarTuple

import uvloop

from zato_lite.service.interference import is_interference

_Ts = TypeVarTuple("_Ts")


class ServerLoop(uvloop.Loop):
    """Loop that ignores a service that stops it or changes its handlers, and reports it."""

    def stop(self) -> None:
        """Stop the loop, unless a service asks for it."""
        if not is_interference("stopped the event loop"):
            super().stop()

    def close(self) -> None:
        """Close the loop; while it runs, that is an error."""
        if self.is_running():
            is_interference("closed the event loop")
        super().close()

    def add_signal_handler(
        self, sig: int, callback: Callable[[*_Ts], object], *args: *_Ts
    ) -> None:
        """Set a signal's handler, unless a service asks for it."""
        if not is_interference("changed a signal's handler"):
            super().add_signal_handler(sig, callback, *args)

    def remove_signal_handler(self, sig: int) -> bool:
        """Remove a signal's handler, unless a service asks for it."""
        if is_interference("changed a signal's handler"):
            return False
        return bool(super().remove_signal_handler(sig))

    def set_task_factory(self, factory: Any) -> None:
        """Set the factory of tasks, unless a service asks for it: tasks contain services."""
        if not is_interference("replaced the task factory"):
            super().set_task_factory(factory)


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop."""
    loop: asyncio.AbstractEventLoop = ServerLoop()
    return loop
