import asyncio
import gc
import weakref
from collections.abc import Iterator
from itertools import pairwise

import pytest

from zato_lite.serving import Restarts, collect_soon


async def test_restarts_are_counted_and_come_slower_and_slower() -> None:
    restarts = Restarts()

    pauses = [restarts.pause() for _ in range(12)]

    assert pauses[:4] == [0.0, 0.5, 1.0, 2.0]
    assert all(a <= b for a, b in pairwise(pauses))
    assert pauses[-1] == 60.0
    assert [(it.name, it.value) for it in await restarts.samples()] == [
        ("zato_lite_restarts_total", 12)
    ]


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
