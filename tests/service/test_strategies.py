from typing import Any

import msgspec
import pytest

from zato_lite import Int, Service
from zato_lite.service.registry import Registry
from zato_lite.service.strategies import Hooked, Plain, Threaded


class Order(msgspec.Struct):
    count: int


class PlainService(Service):
    name = "plain"

    async def handle(self) -> None:
        pass


class WithInput(Service[Order, Any]):
    name = "with-input"

    async def handle(self) -> None:
        pass


class WithElements(Service):
    name = "with-elements"
    output = Int("count")

    async def handle(self) -> None:
        pass


class WithHook(PlainService):
    name = "with-hook"

    async def before_handle(self) -> None:
        pass


class WithMethod(PlainService):
    name = "with-method"

    async def handle_GET(self) -> None:  # noqa: N802 - Zato's name
        pass


class Blocking(Service):
    name = "blocking"

    def handle(self) -> None:
        pass


class BlockingWithHook(Blocking):
    name = "blocking-with-hook"

    def accept(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("cls", "strategy"),
    [
        (PlainService, Plain),
        (WithInput, Plain),
        (WithElements, Plain),
        (WithHook, Hooked),
        (WithMethod, Hooked),
        (Blocking, Threaded),
        (BlockingWithHook, Threaded),
    ],
)
def test_the_strategy_of_a_service_is_chosen_at_its_registration(
    cls: type[Service[Any, Any]], strategy: type
) -> None:
    assert type(Registry().add(cls).strategy) is strategy
