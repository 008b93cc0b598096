"""Idempotency keys, over HTTP contexts and a store of each engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, ClassVar

import pytest

from zato_lite.errors import ConfigError, UnavailableError
from zato_lite.service import idempotency
from zato_lite.service.base import Service
from zato_lite.service.idempotency import IdempotencyKey
from zato_lite.service.locks import Lock
from zato_lite.service.message import Caller, HttpContext, Invocation, Outcome
from zato_lite.service.stream import FileAnswer
from zato_lite.testing.app import Sandbox, sandbox


class Pay(Service):
    name = "pay"
    middleware = (IdempotencyKey(hours=1),)
    paid = 0
    is_paying: ClassVar[asyncio.Event]
    hangs: ClassVar[asyncio.Event]

    async def handle(self) -> Any:
        sent = self.request.payload
        type(self).paid += 1
        self.is_paying.set()
        if sent == "wait":
            await asyncio.sleep(0.2)
        if sent == "hang" and self.paid == 1:
            await self.hangs.wait()
        if sent == "file":
            return FileAnswer("invoice.pdf")
        if sent == "fail":
            raise OSError("bank is closed")
        self.response.status_code = 201
        self.response.headers["Location"] = f"/payments/{self.paid}"
        return b"\xff" if sent == "bytes" else {"id": self.paid}


class Strict(Service):
    name = "strict"
    middleware = (IdempotencyKey(is_required=True),)

    async def handle(self) -> Any:
        return "done"


@asynccontextmanager
async def opened() -> AsyncIterator[Sandbox]:
    Pay.paid, Pay.is_paying, Pay.hangs = 0, asyncio.Event(), asyncio.Event()
    async with sandbox(Pay, Strict) as app:
        yield app


async def post(app: Sandbox, payload: Any, key: str | None = "k", **options: Any) -> Outcome:
    method, caller = options.get("method", "POST"), options.get("caller", "ann")
    headers = {} if key is None else {"idempotency-key": key}
    context = HttpContext(method, "/pay", {}, MappingProxyType({"a": ["1", "2"]}), headers)
    service = options.get("service", "pay")
    return await app.app.invoker.run(
        Invocation(service, payload, payload, channel="http", caller=Caller(caller), http=context)
    )


def status_of(outcome: Outcome) -> Any:
    return getattr(outcome.error, "status", 200 if outcome.error is None else 500)


async def test_a_repeated_request_gets_the_first_answer() -> None:
    async with opened() as app:
        first, second = await post(app, "x"), await post(app, "x")

    assert first.payload == second.payload == {"id": 1}
    assert first.overrides is not None
    assert first.overrides.sent_headers == {"Location": "/payments/1"}
    assert second.overrides is not None
    assert second.overrides.status_code == 201
    expected = {"Location": "/payments/1", "Idempotent-Replayed": "true"}
    assert second.overrides.sent_headers == expected


async def test_bytes_are_repeated_as_bytes() -> None:
    async with opened() as app:
        assert [(await post(app, "bytes")).payload for _ in range(2)] == [b"\xff", b"\xff"]


async def test_keys_are_those_of_one_caller() -> None:
    async with opened() as app:
        await post(app, "x")
        assert (await post(app, "x", caller="bob")).payload == {"id": 2}


async def test_another_request_with_the_key_is_refused() -> None:
    async with opened() as app:
        await post(app, "x")
        other = await post(app, "y")

        assert status_of(other) == 422
        assert Pay.paid == 1


async def test_a_request_with_the_key_of_a_running_one_is_refused() -> None:
    async with opened() as app:
        first = asyncio.create_task(post(app, "wait"))
        await Pay.is_paying.wait()
        second = await post(app, "wait")

        assert status_of(second) == 409
        assert (await first).payload == {"id": 1}
        assert (await post(app, "wait")).payload == {"id": 1}


async def test_a_key_is_not_held_by_another_caller_s_longer_name() -> None:
    async with opened() as app:
        first = asyncio.create_task(post(app, "wait", "b c", caller="a"))
        await Pay.is_paying.wait()

        assert status_of(await post(app, "x", "c", caller="a b")) == 200
        assert status_of(await first) == 200


async def test_an_error_is_not_kept() -> None:
    async with opened() as app:
        assert [status_of(await post(app, "fail")) for _ in range(2)] == [500, 500]
        assert Pay.paid == 2


async def test_a_cancelled_request_leaves_its_key_free() -> None:
    async with opened() as app:
        first = asyncio.create_task(post(app, "wait"))
        await Pay.is_paying.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

        assert (await post(app, "wait")).payload == {"id": 2}


async def test_an_answer_expires() -> None:
    async with opened() as app:
        await post(app, "x")
        app.clock.advance(minutes=59)
        assert (await post(app, "y")).error is not None
        app.clock.advance(minutes=1)
        assert (await post(app, "y")).payload == {"id": 2}


async def test_the_key_of_a_process_that_died_is_free_after_a_minute() -> None:
    async with opened() as app:
        dead = asyncio.create_task(post(app, "hang"))  # renews no lock, as if it had been killed
        await Pay.is_paying.wait()
        statuses = []
        for seconds in (0, 59):
            app.clock.advance(seconds=seconds)
            statuses.append(status_of(await post(app, "hang")))
        app.clock.advance(seconds=1)
        again = await post(app, "hang")
        Pay.hangs.set()
        await dead

        assert statuses == [409, 409]
        assert again.payload == {"id": 2}
        assert (await post(app, "hang")).payload == {"id": 2}


async def test_a_lock_is_renewed_after_a_failure_of_the_store(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    renewals: asyncio.Queue[int] = asyncio.Queue()

    async def renew(lock: Lock) -> bool:
        renewals.put_nowait(1)
        raise UnavailableError("store is away")

    monkeypatch.setattr(idempotency, "_LEASE_S", 0.03)
    monkeypatch.setattr(Lock, "renew", renew)
    async with opened() as app:
        first = asyncio.create_task(post(app, "hang"))
        async with asyncio.timeout(10):
            for _ in range(3):
                await renewals.get()
        Pay.hangs.set()

        assert (await first).payload == {"id": 1}


async def test_a_file_is_not_stored_as_its_path() -> None:
    async with opened() as app:
        answers = [(await post(app, "file")).payload for _ in range(2)]

    assert answers == [FileAnswer("invoice.pdf")] * 2
    assert Pay.paid == 2


async def test_requests_without_a_key_and_other_methods_pass() -> None:
    async with opened() as app:
        for options in ({"key": None}, {"key": None}, {"method": "PUT"}, {"method": "PUT"}):
            assert (await post(app, "x", **options)).error is None
        assert Pay.paid == 4
        assert await app.invoke(Pay, "x") == {"id": 5}


@pytest.mark.parametrize("key", [None, "", "k" * 256])
async def test_a_required_key_that_is_missing_is_named(key: str | None) -> None:
    async with opened() as app:
        outcome = await post(app, "x", key, service="strict")

    assert status_of(outcome) == 400
    assert "Idempotency-Key is missing or too long; use 1 to 255" in str(outcome.error)


def test_hours_that_are_not_valid_are_refused() -> None:
    with pytest.raises(ConfigError):
        IdempotencyKey(hours=0)
