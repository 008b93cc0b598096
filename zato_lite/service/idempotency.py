"""Idempotency keys: a request that a client sends again gets the answer of the first one."""

import asyncio
import base64
import hashlib
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol

from zato_lite.clock import to_instant
from zato_lite.errors import (
    BadInputError,
    ConfigError,
    ConflictError,
    UnavailableError,
    UnprocessableError,
)
from zato_lite.service.locks import Lock, LockTakenError
from zato_lite.service.middleware import Call
from zato_lite.service.payload import plain
from zato_lite.service.stream import FileAnswer
from zato_lite.wire import decode, encode

HEADER = "idempotency-key"
REPLAYED = "Idempotent-Replayed"

_MAX_KEY = 255
_LEASE_S = 60.0
"""Seconds after which the key of a process that died may be used again."""

_log = logging.getLogger(__name__)


class StoredAnswers(Protocol):
    """Answers by caller and key: the request's fingerprint, and the answer as JSON."""

    async def find(self, principal: str, key: str, now: int) -> tuple[str, str] | None:
        """Return the answer; None if there is none that has not expired."""
        ...

    async def save(
        self, principal: str, key: str, answer: tuple[str, str], now: int, until: int
    ) -> None:
        """Save an answer until an instant, and delete expired ones."""
        ...


class IdempotencyKey:
    """Middleware: a request with ``Idempotency-Key`` runs once; later ones get its answer.

    Keys are those of one caller. The same key with another request is refused with 422, and
    while the first one runs with 409. An error is not kept: the client may send the request again.

    Args:
        hours: time for which answers are kept.
        is_required: refuse requests without a key with 400.
        methods: the HTTP methods that it is for; other invocations pass.
    """

    def __init__(
        self,
        hours: float = 24.0,
        *,
        is_required: bool = False,
        methods: Collection[str] = ("POST", "PATCH"),
    ) -> None:
        if hours <= 0:
            raise ConfigError(f"IdempotencyKey({hours!r}) is not valid; use hours above 0")
        self._microseconds = round(hours * 3_600_000_000)
        self._is_required, self._methods = is_required, frozenset(methods)

    async def __call__(self, call: Call) -> Any:
        """Return the answer of the first request with this key.

        Raises:
            BadInputError: the key is missing or too long.
            ConflictError: the first request is still running.
            UnprocessableError: the first request was another one.
        """
        http = call.http
        if http is None or http.method not in self._methods:
            return await call.next()
        key = http.headers.get(HEADER)
        if key is None and not self._is_required:
            return await call.next()
        if not key or len(key) > _MAX_KEY:
            text = f"header Idempotency-Key is missing or too long; use 1 to {_MAX_KEY} characters"
            raise BadInputError(text)
        answers: StoredAnswers | None = call.invoker.resources.get(StoredAnswers)
        if answers is None:
            raise UnavailableError("Idempotency-Key needs a store; none is configured")
        return await self._once(call, answers, key)

    async def _once(self, call: Call, answers: StoredAnswers, key: str) -> Any:
        principal, fingerprint = call.caller.principal, _fingerprint(call)
        if (found := await answers.find(principal, key, _now(call))) is not None:
            return _replay(call, found, fingerprint)
        try:
            async with _held(call, _lock_name(principal, key)):
                if (found := await answers.find(principal, key, _now(call))) is not None:
                    return _replay(call, found, fingerprint)
                payload = await call.next()
                await self._save(call, answers, key, fingerprint, payload)
                return payload
        except LockTakenError as error:
            text = "a request with this Idempotency-Key is still running; try again later"
            raise ConflictError(text) from error

    async def _save(
        self, call: Call, answers: StoredAnswers, key: str, fingerprint: str, payload: Any
    ) -> None:
        """Save an answer; one that cannot be saved is sent all the same, as the work is done."""
        now = _now(call)
        try:
            stored = (fingerprint, _encoded(call, payload))
            until = now + self._microseconds
            await answers.save(call.caller.principal, key, stored, now, until)
        except (TypeError, ValueError, UnavailableError) as error:
            extra = {"service": call.service, "cid": call.cid}
            _log.error("idempotent answer not saved", exc_info=error, extra=extra)


@asynccontextmanager
async def _held(call: Call, name: str) -> AsyncIterator[None]:
    """Hold a lock, renewed for as long as the block lasts.

    Raises:
        LockTakenError: another request holds it.
    """
    async with Lock(call.invoker.locks, name, call.cid, (_LEASE_S, 0.0)) as lock:

        async def renew() -> None:
            while True:
                await asyncio.sleep(_LEASE_S / 3)
                with suppress(UnavailableError):  # the lease outlasts a store that is away briefly
                    await lock.renew()

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()


def _now(call: Call) -> int:
    return to_instant(call.invoker.now())


def _lock_name(principal: str, key: str) -> str:
    """Return the name of a key's lock, which no other caller's key has."""
    return f"idempotency {hashlib.sha256(encode([principal, key])).hexdigest()}"


def _fingerprint(call: Call) -> str:
    """Return a hash of the request: service, path, query and body."""
    http, raw = call.http, call.request.raw_request
    body = raw if isinstance(raw, bytes) else str(raw).encode(errors="surrogateescape")
    where = encode([call.service, http.method, http.path, dict(http.query)] if http else [])
    return hashlib.sha256(where + b"\0" + body).hexdigest()


def _encoded(call: Call, payload: Any) -> str:
    """Return an answer as JSON.

    Raises:
        TypeError: JSON cannot hold it, as a stream or a file.
    """
    if isinstance(payload, FileAnswer):
        raise TypeError("the file of an answer is not stored")
    is_bytes = isinstance(payload, bytes)
    answer = {
        "payload": base64.b64encode(payload).decode() if is_bytes else payload,
        "is_bytes": is_bytes,
        "status": call.response.status_code,
        "type": call.response.content_type,
        "headers": call.response.sent_headers,
    }
    return encode(answer, plain).decode()


def _replay(call: Call, found: tuple[str, str], fingerprint: str) -> Any:
    """Return the payload of a stored answer, and set its status and headers.

    Raises:
        UnprocessableError: the key was used for another request.
    """
    if found[0] != fingerprint:
        raise UnprocessableError("Idempotency-Key was used for another request; use a new one")
    answer = decode(found[1])
    response = call.response
    response.status_code, response.content_type = answer["status"], answer["type"]
    response.headers.update({**(answer["headers"] or {}), REPLAYED: "true"})
    return base64.b64decode(answer["payload"]) if answer["is_bytes"] else answer["payload"]
