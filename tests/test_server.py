import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from zato_lite.server import collect_soon


class Replaced:
    """Object in a reference cycle, like a deployed class."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def _without_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_without_collector")
async def test_replaced_classes_are_freed_some_time_after_the_first_deployment() -> None:
    freed = asyncio.Event()
    deployed = collect_soon(after=0.05)

    for _ in range(3):
        replaced = Replaced()
        weakref.finalize(replaced, freed.set)
        del replaced
        deployed()
    assert not freed.is_set()

    async with asyncio.timeout(5):
        await freed.wait()
