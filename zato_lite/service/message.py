"""Invocations and their outcomes, as values; they know nothing of HTTP or stores."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from zato_lite.errors import InvocationError
from zato_lite.log import Sink

ChannelType = Literal["invoke", "async", "scheduler", "http", "cli", "startup", "shutdown"]

RUN_CHANNELS = frozenset({"scheduler", "async"})
"""Channels of the scheduler's runs."""

UNREAD_CHANNELS = RUN_CHANNELS | {"startup", "shutdown"}
"""Channels of invocations whose answer has no reader: streams are made to their end."""


_SECURITY_TYPES = {"user": "basic_auth", "key": "apikey", "system": "system"}


class Caller(msgspec.Struct, frozen=True):
    """The user or key on whose behalf an invocation is made; inner invocations share it.

    Attributes:
        name: the user or key.
        roles: viewer, operator, editor, admin.
        patterns: fnmatch patterns of the services that it may invoke; empty means all.
        kind: user, key or system: users and keys may have equal names.
        denial: the reason for which a run on its behalf is refused; empty if it may be made.
        label: the name that people have given a key.
    """

    name: str
    roles: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()
    kind: Literal["user", "key", "system"] = "user"
    denial: str = ""
    label: str = ""

    @property
    def shown(self) -> str:
        """The name for people: that of a key, with its public part."""
        return f"{self.label} ({self.name})" if self.label else self.name

    @property
    def principal(self) -> str:
        """Return the text by which jobs and runs record on whose behalf they are."""
        return SYSTEM_PRINCIPAL if self.kind == "system" else f"{self.kind}:{self.name}"

    @property
    def id(self) -> str:
        """Return ``principal``, under Zato's name."""
        return self.principal

    @property
    def username(self) -> str:
        """Return the name, under Zato's name."""
        return self.name

    @property
    def type(self) -> str:
        """Return ``basic_auth`` for a user, ``apikey`` for a key, ``system``: Zato's names."""
        return _SECURITY_TYPES[self.kind]

    def to_dict(self) -> dict[str, str]:
        """Return what Zato's services ask for: id, name, type and username."""
        return {"id": self.id, "name": self.name, "type": self.type, "username": self.username}


SYSTEM_PRINCIPAL = "system"
"""The principal of what the server's files declare, and of what code runs on its own behalf."""

SYSTEM = Caller("system", frozenset({"admin"}), (), "system")
"""The caller for the server itself."""


def principal_of(on_behalf_of: str, caller: Caller) -> str:
    """Return the principal of what code creates on behalf of its caller or of the system.

    Raises:
        ValueError: it is neither ``caller`` nor ``system``.
    """
    if on_behalf_of == "caller":
        return caller.principal
    if on_behalf_of == "system":
        return SYSTEM_PRINCIPAL
    raise ValueError(f"on_behalf_of {on_behalf_of!r} is unknown; use caller or system")


class HttpContext(msgspec.Struct, frozen=True):
    """The HTTP request behind an invocation; header names are lower-case.

    Attributes:
        route: the declared path with its ``{…}`` parameters; empty if it has none.
        is_secure: the request came over TLS.
        has_parameters: the input is not the body alone, or the body's values are text.
    """

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str | list[str]]
    headers: Mapping[str, str]
    remote_address: str = ""
    route: str = ""
    is_secure: bool = False
    has_parameters: bool = True


Opener = Callable[[], AbstractAsyncContextManager[Any]]


def opened(opener: Opener | None) -> AbstractAsyncContextManager[Any]:
    """Return the transaction of a run.

    Raises:
        InvocationError: there is none, because this is not a run.
    """
    if opener is None:
        raise InvocationError(
            "transaction: only a run of the scheduler has one; this is not a run"
        )
    return opener()


class JobContext(msgspec.Struct, frozen=True, gc=False):
    """The job and the run behind an invocation by the scheduler.

    Attributes:
        run: the run's number within its job, from 1.
        run_id: the run's id, unique among all runs.
        slot: the instant at which the run was due, aware, in UTC; not its start.
        attempt: 1 for the first attempt. token: the fencing token, which grows with each attempt.
        job_type: ``one_time``, ``interval_based`` or ``cron_style``.
        kind: the cause of the run: ``scheduled`` for its slot, ``manual``, ``retry`` …
        opener: opens the transaction of the run.
    """

    id: int
    name: str
    run: int
    run_id: int
    slot: datetime
    attempt: int
    token: int
    job_type: str
    kind: str = "scheduled"
    opener: Opener | None = None

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Return a transaction that is committed with the run: ``async with … as connection``.

        The connection is a psycopg ``AsyncConnection`` to the store's database. Its effects and
        the outcome ``ok`` are committed together; nothing is kept of a run that ends otherwise.

        Raises:
            InvocationError: this is not a run.
        """
        return opened(self.opener)


class Invocation(msgspec.Struct):
    """One request to one service.

    Attributes:
        service: the service's name.
        payload: the payload as values (dict, list, str, bytes, None …).
        raw: the original text or bytes of the payload; None if it has none, and then
            ``request.raw_request`` is the payload.
        cid: correlation id, shared with inner invocations; a new one is created if it is empty.
        timeout: seconds that it may take, or None.
        until: the instant at which its owner will cancel it, or None.
        ahead: the service's class and its request, or the error of its input, if a large payload
            was read before, in a thread; else None.
        path: names of the invocations in which it is nested, outermost first.
        sink: a second destination for its log lines, or None.
        opener: opens the transaction of the run that this is; None for any other invocation.
        body: the body of its HTTP request, if the service reads it while it arrives.
    """

    service: str
    payload: Any = None
    raw: str | bytes | None = None
    cid: str = ""
    channel: ChannelType = "invoke"
    caller: Caller = SYSTEM
    timeout: float | None = None
    job: JobContext | None = None
    http: HttpContext | None = None
    path: tuple[str, ...] = ()
    sink: Sink | None = None
    until: int | None = None
    ahead: tuple[type, Any] | None = None
    opener: Opener | None = None
    body: AsyncIterator[bytes] | None = None


class ResponseOverrides(Protocol):
    """The parts of an HTTP response that a service may set."""

    @property
    def status_code(self) -> int | None:
        """Return the status, or None for the default."""
        ...

    @property
    def content_type(self) -> str | None:
        """Return the content type, or None for that of the payload."""
        ...

    @property
    def sent_headers(self) -> Mapping[str, str] | None:
        """Return additional headers, or None."""
        ...


class Outcome(msgspec.Struct):
    """The result of an invocation: a payload or an error, never both.

    Attributes:
        payload: the service's ``response.payload`` (JSON-able values, str, bytes, or a model).
        overrides: HTTP settings of the response; None for the defaults.
        seconds: the duration.
        error: the exception that the service or the invoker raised.
        is_timeout: its deadline passed; is_cancelled: it was cancelled.
    """

    cid: str
    payload: Any = None
    overrides: ResponseOverrides | None = None
    seconds: float = 0.0
    error: BaseException | None = None
    is_timeout: bool = False
    is_cancelled: bool = False


FastOutcome = tuple[Any, ResponseOverrides | None, float]
"""Success without an Outcome object: (payload, overrides, seconds).

``outcome_of`` converts it.
"""


async def outcome_of(cid: str, answer: FastOutcome | Outcome | Awaitable[Outcome]) -> Outcome:
    """Return the outcome of an invocation that ``Invoker.begin`` has begun."""
    if isinstance(answer, tuple):
        return Outcome(cid, *answer)
    return answer if isinstance(answer, Outcome) else await answer
