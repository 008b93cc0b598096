"""What goes into the one door and what comes out: values that know nothing of HTTP or stores."""

from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import Any, Literal, Protocol

import msgspec

from zato_lite.log import Sink

ChannelType = Literal["invoke", "async", "scheduler", "http", "cli", "startup"]


class Caller(msgspec.Struct, frozen=True):
    """Who asks. Inner calls carry the outer caller on.

    Attributes:
        name: the user or key.
        roles: viewer, operator, editor, admin.
        patterns: which services it may invoke (fnmatch patterns); empty means all.
    """

    name: str
    roles: frozenset[str] = frozenset()
    patterns: tuple[str, ...] = ()


SYSTEM = Caller("system", frozenset({"admin"}))
"""The scheduler and the server themselves."""


class HttpContext(msgspec.Struct, frozen=True):
    """The HTTP request behind an invocation; header names are lower-case.

    Attributes:
        route: the path as it was declared, with ``{…}`` where it varies; empty if it is the path.
        is_secure: it came over TLS.
    """

    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str | list[str]]
    headers: Mapping[str, str]
    remote_address: str = ""
    route: str = ""
    is_secure: bool = False


class JobContext(msgspec.Struct, frozen=True, gc=False):
    """The job and the run behind an invocation by the scheduler.

    Attributes:
        run: the run's number within its job, from 1.
        run_id: the run's id, unique among all runs.
        slot: the instant at which it was due, aware, in UTC; not the time at which it started.
        attempt: 1 for the first try. token: grows with each attempt that is handed out; a guard
            for what the service does outside (a fencing token).
        job_type: ``one_time``, ``interval_based`` or ``cron_style``.
    """

    id: int
    name: str
    run: int
    run_id: int
    slot: datetime
    attempt: int
    token: int
    job_type: str


class Invocation(msgspec.Struct):
    """One request to one service.

    Attributes:
        service: its name.
        payload: what the service receives, as values (dict, list, str, bytes, None …).
        raw: the untouched text or bytes behind the payload; None when there is none, and then
            ``request.raw_request`` is the payload itself.
        cid: correlation id; travels along inner calls. Empty: a new one is made.
        timeout: seconds that it may take, or None.
        until: the instant at which whoever invokes it will cut it off by itself, or None.
        path: names of the invocations it is nested in already, outermost first.
        sink: where the lines go that are logged in it, besides the log; None for nowhere.
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


class ResponseOverrides(Protocol):
    """How an answer is to be given over HTTP, as far as the service has a say in it."""

    @property
    def status_code(self) -> int | None:
        """None for the usual one."""
        ...

    @property
    def content_type(self) -> str | None:
        """None for what the payload is."""
        ...

    @property
    def sent_headers(self) -> Mapping[str, str] | None:
        """Further headers; None for none."""
        ...


class Outcome(msgspec.Struct):
    """What came of it: a payload or an error, never both.

    Attributes:
        payload: the service's ``response.payload`` (JSON-able values, str, bytes, or a model).
        manner: what the service said of its answer; None if nothing.
        seconds: from the door to the outcome.
        error: what it raised, or what the invoker raised for it.
        is_timeout: the time was up; is_cancelled: it was cancelled from outside.
    """

    cid: str
    payload: Any = None
    manner: ResponseOverrides | None = None
    seconds: float = 0.0
    error: BaseException | None = None
    is_timeout: bool = False
    is_cancelled: bool = False


FastOutcome = tuple[Any, ResponseOverrides | None, float]
"""What came of it when it went well, for whoever needs no more: payload, manner and seconds.

``outcome_of`` makes the outcome of it.
"""


async def outcome_of(cid: str, answer: FastOutcome | Outcome | Awaitable[Outcome]) -> Outcome:
    """What came of the invocation of this cid, at once or later, as an outcome."""
    if isinstance(answer, tuple):
        return Outcome(cid, *answer)
    return answer if isinstance(answer, Outcome) else await answer
