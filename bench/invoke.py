"""Cost of an invocation: ``self.invoke`` against a bare ``await``, and its parts, in ns.

Run it on its own: ``.venv/bin/python bench/invoke.py [--loop uvloop] [--rounds 7]``. It measures
the thread's CPU time. Rounds of all candidates alternate, and the figures are medians, so that
other load affects all alike.
"""

# ruff: noqa: SLF001

import argparse
import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from zato_lite.clock import SystemClock
from zato_lite.log import invocation_context
from zato_lite.service.base import Service
from zato_lite.service.entry import Entry
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.registry import Registry
from zato_lite.service.request import Request, Response


class In(msgspec.Struct):
    name: str
    count: int


class Out(msgspec.Struct):
    greeting: str


class Trivial(Service):
    name = "trivial"

    async def handle(self) -> None:
        pass


class Answers(Service):
    name = "answers"

    async def handle(self) -> None:
        self.response.payload = 1


class Returns(Service):
    name = "returns"

    async def handle(self) -> Any:
        return 1


class Typed(Service[In, Out]):
    name = "typed"

    async def handle(self) -> None:
        self.response.payload = Out(self.request.input.name)


class Blocking(Service):
    name = "blocking"

    def handle(self) -> None:
        pass


async def bare() -> None:
    pass


PAYLOAD = {"name": "Ann", "count": 1}


class Bench(Service):
    name = "bench"

    async def handle(self) -> None:
        rounds, number = self.request.payload
        invoker: Any = self._invoker
        expressions = {
            "bare await": "bare()",
            "self.invoke, trivial": "self.invoke('trivial')",
            "self.invoke, returns": "self.invoke('returns', PAYLOAD)",
            "self.invoke, response.payload": "self.invoke('answers', PAYLOAD)",
            "self.invoke, typed in and out": "self.invoke('typed', PAYLOAD)",
            "self.invoke, with a timeout": "self.invoke('trivial', timeout=5)",
            "invoker.run, trivial": "invoker.run(Invocation('trivial'))",
            "invoker.run, with a timeout": "invoker.run(Invocation('trivial', timeout=5))",
        }
        names = {**globals(), "self": self, "invoker": invoker}
        gc.collect()
        gc.freeze()  # as `zato-lite serve` does
        gc.set_threshold(50_000, 20, 20)
        candidates = {name: timed(text, names) for name, text in expressions.items()}
        results: dict[str, list[float]] = {name: [] for name in candidates}
        for _ in range(rounds):
            for name, run in candidates.items():
                results[name].append(await run(number))
        results["self.invoke, blocking"] = [
            await timed("self.invoke('blocking')", names)(number // 50) for _ in range(rounds)
        ]
        floor = statistics.median(results["bare await"])
        for name, times in results.items():
            middle = statistics.median(times)
            print(f"{name:34} {middle:9,.0f} ns  {middle / floor:6.1f} x")


def timed(expression: str, names: dict[str, Any]) -> Callable[[int], Awaitable[float]]:
    """Awaits the expression over and over; nothing but a loop is in the figure besides it."""
    code = f"""
async def run(number):
    started = cpu_time()
    for _ in range(number):
        await {expression}
    return (cpu_time() - started) / number * 1e9
"""
    space = {**names, "cpu_time": time.thread_time}
    exec(code, space)  # noqa: S102 - our own text
    run: Callable[[int], Awaitable[float]] = space["run"]
    return run


def parts(rounds: int, number: int) -> None:
    """Measure the parts of an invocation separately."""
    clock = SystemClock()
    registry = Registry()
    registry.add(Trivial)
    service = Trivial()

    def attributes() -> None:
        made = Trivial()
        made._invoker = made._root = made._parent = made._payload = None  # type: ignore[assignment]
        made._deadline = made._request = made._response = None
        made._depth = 0
        made._in_thread = False

    def count(entry: Entry) -> None:
        entry.calls += 1
        entry.ended += 1
        entry.seconds += 0.5

    def context() -> None:
        invocation_context.reset(invocation_context.set(service))

    pieces: dict[str, Callable[[], Any]] = {
        "a function call": lambda: None,
        "registry lookup": lambda: registry.entries.get("trivial"),
        "instance": Trivial,
        "instance and its attributes": attributes,
        "ContextVar set and reset": context,
        "clock reading": clock.monotonic,
        "converting the input": lambda: msgspec.convert(PAYLOAD, In),
        "request around the input": lambda: Request(None, PAYLOAD, None),
        "response": Response,
        "counting: calls, ended, seconds": lambda: count(registry.entries["trivial"]),
    }
    for name, piece in pieces.items():
        times = []
        for _ in range(rounds):
            started = time.thread_time()
            for _ in range(number):
                piece()
            times.append((time.thread_time() - started) / number * 1e9)
        print(f"{name:34} {statistics.median(times):9,.0f} ns")


async def main(rounds: int, number: int) -> None:
    registry = Registry()
    for cls in (Trivial, Answers, Returns, Typed, Blocking, Bench):
        registry.add(cls)
    outcome = await Invoker(registry).run(Invocation("bench", (rounds, number)))
    if outcome.error is not None:
        raise outcome.error


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", choices=["asyncio", "uvloop"], default="asyncio")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--number", type=int, default=20_000)
    options = parser.parse_args()
    parts(options.rounds, options.number)
    print()
    if options.loop == "uvloop":
        import uvloop

        uvloop.run(main(options.rounds, options.number))
    else:
        asyncio.run(main(options.rounds, options.number))
