import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from zato_lite.server import collect_soon


class Replaced:
    """As a class that was deployed: it is in a circle."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def _without_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_without_collector")
async def test_what_deployments_replace_is_freed_a_while_after_the_first_of_them() -> None:
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
