"""Callers of a sandbox: invocations and HTTP requests with the rights of a role."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, cast

import typing_extensions

from zato_lite.app import App
from zato_lite.config import FOLLOWER
from zato_lite.errors import UnauthorizedError
from zato_lite.http.parser import Limits
from zato_lite.http.server import Server
from zato_lite.server import open_edge
from zato_lite.service.access import ROLES, may_invoke
from zato_lite.service.base import Service
from zato_lite.service.built_in import refusal_of
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.service.naming import name_of
from zato_lite.service.payload import plain
from zato_lite.service.typed import DeclaredStream, declared, is_custom
from zato_lite.testing.http import HttpClient

Answer = typing_extensions.TypeVar("Answer", default=Any)

ANYBODY = "anybody"
"""The role of a caller without credentials."""


class Client:
    """A caller: what it invokes and requests is checked as over HTTP.

    Attributes:
        http: a client of the real edge, with this caller's credentials.
    """

    def __init__(self, callers: "Callers", role: str, patterns: tuple[str, ...]) -> None:
        self._callers, self._role, self._patterns = callers, role, patterns
        self.http = HttpClient(callers.server, self._authorization)

    async def invoke(
        self, service: str | type[Service[Any, Answer]], payload: Any = None, **fields: Any
    ) -> Answer:
        """Invoke a service, if this caller may; the arguments are those of a sandbox's."""
        key = await self._callers.key(self._role, self._patterns)
        if key is None:
            raise UnauthorizedError("Unauthorized")
        caller = key[0]
        name = name_of(service)
        if not may_invoke(caller, name):
            raise refusal_of(caller, name)
        return await invoke(self._callers.app, service, payload, fields, caller)

    async def _authorization(self) -> str:
        key = await self._callers.key(self._role, self._patterns)
        return "" if key is None else f"Bearer {key[1]}"


class Callers:
    """The keys of a sandbox's callers, and its HTTP server; both are made at their first use."""

    def __init__(self, app: App, stack: AsyncExitStack) -> None:
        self.app, self._stack, self._lock = app, stack, asyncio.Lock()
        self._keys: dict[tuple[str, tuple[str, ...]], tuple[Caller, str]] = {}
        self._server: Server | None = None

    def client(self, role: str, patterns: tuple[str, ...] = ()) -> Client:
        """Return a caller with a role, confined to services that the patterns match."""
        if role not in {*ROLES, ANYBODY}:
            roles = ", ".join((*ROLES, ANYBODY))
            raise ValueError(f"unknown role {role!r}; use {roles}")
        return Client(self, role, patterns)

    async def server(self) -> Server:
        """Return the server."""
        async with self._lock:
            if self._server is None:
                settings, enter = self.app.settings.server, self._stack.enter_async_context
                http = await enter(open_edge(self.app, {FOLLOWER: "1"}))  # it makes no admin
                limits = Limits(body=settings.max_body)
                self._server = server = Server(http.begin, self.app.clock, limits)
                server.plan_body, server.note_refusal = http.plan_body, http.note_refusal
                self._stack.push_async_callback(partial(server.close, 0.0))
        return self._server

    async def key(self, role: str, patterns: tuple[str, ...]) -> tuple[Caller, str] | None:
        """Return the caller behind an API key with these rights, and the key; or None."""
        if role == ANYBODY:
            return None
        async with self._lock:
            if (found := self._keys.get((role, patterns))) is None:
                rights = {"roles": [role], "patterns": [*patterns]}
                new = await self.app.invoker.invoke("zato.security.key.create", rights)
                caller = Caller(new["prefix"], frozenset({role}), patterns, "key")
                found = self._keys[role, patterns] = caller, new["key"]
        return found


async def invoke(
    app: App,
    service: str | type[Service[Any, Answer]],
    payload: Any,
    fields: dict[str, Any],
    caller: Caller = SYSTEM,
) -> Answer:
    """Invoke a service; the answer of a class has the type that this class declares."""
    payload = fields if fields and payload is None else payload
    if isinstance(service, str):
        return cast("Answer", await app.invoker.invoke(service, payload, caller=caller))
    entry = app.registry.get(service.get_name())
    if entry.cls is not service:
        # The test has imported the file for itself: types of the same name are not the same.
        payload = payload if payload is None or isinstance(payload, bytes) else plain(payload)
    answer = await app.invoker.invoke(entry.name, payload, caller=caller)
    wanted = declared(service, "output")
    if entry.cls is service or wanted is None:
        return cast("Answer", answer)
    if isinstance(wanted, DeclaredStream) or is_custom(wanted.type):
        return cast("Answer", answer)
    return cast("Answer", wanted.reader()(plain(answer)))
