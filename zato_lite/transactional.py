"""Enqueueing in a transaction of the user's own: runs and jobs that are committed with its rows.

The connection is the user's, to the PostgreSQL database of a store: of psycopg, asyncpg or
SQLAlchemy. Each function sends one statement or two, and neither commits nor rolls back. Nodes
see what was written when the user's transaction is committed, and never if it is rolled back.
"""

import inspect
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import uuid4

import msgspec

from zato_lite.builtin.definition import read
from zato_lite.clock import to_instant
from zato_lite.errors import BadInputError
from zato_lite.service.base import Service
from zato_lite.service.single_run import MAX_DELAY_S, define, target_of
from zato_lite.store.jobs import encode_job, job_exists_error
from zato_lite.store.others import ALL_NODES, NEW_RUNS
from zato_lite.store.references import has_callbacks
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.due import first_due
from zato_lite.timetable.job import SECOND, Job, plain_principal

_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"
_START = '"start":-1'
"""Start of a run in its definition until the database says its time. No text within the definition
looks alike: its quotation marks are escaped."""

# Values are bound as texts and converted by CAST: drivers differ in the types that they send.
_ENQUEUE = f"""WITH n AS (
    SELECT nextval('{{schema}}sequence_token') AS id, {_NOW} AS now
), at AS (
    SELECT n.id, n.now, coalesce(CAST({{2}} AS bigint), n.now + CAST({{1}} AS bigint)) AS slot
    FROM n
), run AS (
    INSERT INTO {{schema}}run (id, job_id, number, slot, kind, state, node, token, attempt,
        crashes, claimed_at, principal, requested_by)
    SELECT id, 0, id, greatest(slot, now), 'async', 'claimed', 0, id, 1, 0, now,
        {{5}}, {{5}} FROM at
), call AS (
    INSERT INTO {{schema}}call (run_id, definition, cid)
    SELECT id, CAST(replace({{3}}, '{_START}',
        '"start":' || greatest(slot, now)) AS json), {{4}} FROM at
) SELECT CAST(at.id AS text), {{ring}} FROM at"""

_PREPARE_JOB = f"""SELECT CAST(nextval('{{schema}}sequence_job') AS text), CAST({_NOW} AS text),
    CAST((SELECT json_agg(definition) FROM {{schema}}calendar WHERE name = {{1}})
        AS text)"""

_CREATE_JOB = """WITH job AS (
    INSERT INTO {schema}job (id, name, service, is_active, is_declared, is_watched, has_callbacks,
        definition, version, created_at)
    VALUES (CAST({1} AS bigint), {2}, {3}, CAST({4} AS boolean), FALSE,
        CAST({5} AS boolean), CAST({6} AS boolean), CAST({7} AS json), 1,
        CAST({8} AS bigint))
    ON CONFLICT DO NOTHING RETURNING id
), timer AS (
    INSERT INTO {schema}timer (job_id, next_at, cursor, started, number, failures, paused_since)
    SELECT id, CAST({9} AS bigint), CAST({10} AS bigint), 0, 0, 0, CAST({11} AS bigint) FROM job
) SELECT CAST(job.id AS text), {ring} FROM job"""

_RING = (
    "pg_notify('zato_lite_' || coalesce((SELECT value FROM {schema}setting WHERE name = 'bell'),"
    f" ''), '{ALL_NODES} {NEW_RUNS}')"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_PLACE = re.compile(r"\{(\d+)\}")
_PRINCIPAL = re.compile(r"(?:user|key):\S.*|system", re.DOTALL)

Principal = str | Service[Any, Any]
"""A principal, or a service whose caller is meant."""


async def enqueue(
    connection: Any,
    service: str | type[Service[Any, Any]],
    payload: Any = None,
    *,
    on_behalf_of: Principal,
    after: float | timedelta | datetime = 0,
    schema: str | None = None,
    retries: int = 0,
    retry_delay: float = 1,
    retry_backoff: float = 2,
    timeout: float | None = None,  # noqa: ASYNC109 - of the run
) -> int:
    """Save a run of a service in the connection's transaction, and return the run's id.

    Args:
        connection: of psycopg, asyncpg or SQLAlchemy (a session, too), to the store's database.
        service: the service's name or its class.
        payload: its input; JSON must be able to hold it.
        on_behalf_of: whose rights the run has: ``user:NAME``, ``key:NAME`` or ``system``; within a
            service, ``self`` for its caller.
        after: the start: seconds or a timedelta from now, or an aware datetime.
        schema: of the store's tables; by default the first of the connection's search path.
        retries: further attempts after a failed one.
        retry_delay: seconds before the first of them.
        retry_backoff: factor of the delay before each later one.
        timeout: seconds that each attempt may take.

    Raises:
        BadInputError: names the argument that is not valid.
        TypeError: the connection is none of these.
    """
    name, cid = target_of(service), uuid4().hex
    delay, instant = _start(after)
    principal = _principal(on_behalf_of)
    job = define(
        f"{name} async {cid}",
        name,
        payload,
        -1,
        principal=principal,
        retries=retries,
        retry_delay=retry_delay,
        retry_backoff=retry_backoff,
        timeout=timeout,
    )
    values = (delay, instant, encode_job(job), cid, plain_principal(principal))
    found = await _fetch(connection, _text(_ENQUEUE, schema), values)
    return int(found[0])


async def create_job(
    connection: Any,
    definition: Mapping[str, Any],
    *,
    on_behalf_of: Principal,
    schema: str | None = None,
) -> int:
    """Create a job in the connection's transaction, and return its id.

    Args:
        connection: as of ``enqueue``.
        definition: the fields of ``zato.scheduler.job.create``.
        on_behalf_of: whose rights its runs have, as of ``enqueue``.
        schema: as of ``enqueue``.

    Raises:
        BadInputError: lists every field that is not valid.
        JobExistsError: the name is taken. The transaction can continue.
        TypeError: the connection is none of these.
    """
    principal = _principal(on_behalf_of)
    if not isinstance(definition, Mapping):
        raise BadInputError(f"definition: {definition!r} is not valid; use the fields of a job")
    calendar = definition.get("calendar")
    name = calendar if _is_storable(calendar) else None
    number, now, calendars = await _fetch(connection, _text(_PREPARE_JOB, schema), (name,))
    job = read(dict(definition), int(now), principal)
    _refuse_what_needs_the_service(job, principal)
    known = [] if calendars is None else msgspec.json.decode(calendars, type=list[Calendar])
    if job.calendar is not None and not known:
        raise BadInputError(f"calendar: {job.calendar!r} does not exist")
    by_name = {each.name: each for each in known}
    cursor, next_at = first_due(job, int(now), by_name, int(number))
    values = (
        number, job.name, job.service, job.is_active, job.alert_after_intervals is not None,
        has_callbacks(job), encode_job(job), now, next_at, cursor, None if job.is_active else now,
    )  # fmt: skip
    found = await _fetch(connection, _text(_CREATE_JOB, schema), values)
    if found is None:
        raise job_exists_error(job.name)
    return int(found[0])


def _refuse_what_needs_the_service(job: Job, principal: str) -> None:
    """Refuse fields that only ``zato.scheduler.job.create`` can check or carry out.

    A callback job runs with the rights of its principal: to name one needs a check of these.
    """
    only = "only zato.scheduler.job.create"
    if job.principal != principal:
        raise BadInputError(f"principal: {job.principal!r} is not allowed here; use on_behalf_of")
    if job.alert_after_intervals is not None:
        words = f"needs another job, which {only} makes"
        raise BadInputError(f"alert_after_intervals: {job.alert_after_intervals} {words}")
    for field in ("on_success_job", "on_error_job"):
        if (name := getattr(job, field)) is not None:
            raise BadInputError(f"{field}: {name!r} needs a check of rights, which {only} makes")


def _start(after: float | timedelta | datetime) -> tuple[int, int | None]:
    """Return the delay in microseconds, and the instant of a datetime."""
    if isinstance(after, datetime):
        if after.utcoffset() is None:
            raise BadInputError(f"after: {after} has no time zone; use an aware datetime")
        return 0, to_instant(after)
    seconds: Any = after.total_seconds() if isinstance(after, timedelta) else after
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not math.isfinite(seconds) or not 0 <= seconds <= MAX_DELAY_S:
        allowed = "use seconds of 0 or more, a timedelta or an aware datetime"
        raise BadInputError(f"after: {after!r} is not valid; {allowed}")
    return round(seconds * SECOND), None


def _principal(on_behalf_of: Principal) -> str:
    if isinstance(on_behalf_of, Service):
        return on_behalf_of._principal("caller")  # noqa: SLF001 - of the framework
    if _PRINCIPAL.fullmatch(str(on_behalf_of)):
        return on_behalf_of
    allowed = "use user:NAME, key:NAME or system, or self within a service"
    raise BadInputError(f"on_behalf_of: {on_behalf_of!r} is not valid; {allowed}")


# Statements and drivers


@lru_cache(maxsize=64)
def _text(statement: str, schema: str | None) -> str:
    """Return a statement for the tables of a schema; places of values stay ``{1}``."""
    if schema is not None and (not schema or not _is_storable(schema) or {*":{"} & {*schema}):
        raise BadInputError(f"schema: {schema!r} is not valid; use the name of a schema")
    quoted = "" if schema is None else '"' + schema.replace('"', '""') + '"'
    in_text = (f"{quoted}." if quoted else "").replace("'", "''")
    found = statement.replace("'{schema}sequence", f"'{in_text}sequence")
    found = found.replace("{ring}", _RING)
    return found.replace("{schema}", f"{quoted}." if quoted else "")


async def _fetch(connection: Any, statement: str, values: tuple[Any, ...]) -> Any:
    """Execute a statement on the user's connection; return its row, or None."""
    texts = [None if value is None else _as_text(value) for value in values]
    modules = {base.__module__.partition(".")[0] for base in type(connection).__mro__}
    if "psycopg" in modules:
        return await _fetch_psycopg(connection, _placed(statement, "$"), texts)
    if "asyncpg" in modules:
        return await connection.fetchrow(_placed(statement, "$"), *texts)
    if "sqlalchemy" in modules and _is_to_postgres(connection):
        return await _fetch_sqlalchemy(connection, _placed(statement, ":v"), texts)
    kind = f"{type(connection).__module__}.{type(connection).__qualname__}"
    raise TypeError(
        f"connection: {kind} is not known; use a connection of psycopg, asyncpg or SQLAlchemy to"
        " the store's PostgreSQL database"
    )


@lru_cache(maxsize=64)
def _placed(statement: str, mark: str) -> str:
    """Return a statement with the places of values as a driver marks them."""
    return _PLACE.sub(rf"CAST({mark}\1 AS text)", statement)


async def _fetch_psycopg(connection: Any, statement: str, texts: list[str | None]) -> Any:
    from psycopg import AsyncRawCursor, RawCursor  # noqa: PLC0415 - the user's own
    from psycopg.rows import tuple_row  # noqa: PLC0415

    connection = getattr(connection, "connection", connection)  # of a cursor
    if inspect.iscoroutinefunction(connection.execute):
        async with AsyncRawCursor(connection, row_factory=tuple_row) as cursor:
            await cursor.execute(statement.encode(), texts)
            return await cursor.fetchone()
    with RawCursor(connection, row_factory=tuple_row) as cursor:
        cursor.execute(statement.encode(), texts)
        return cursor.fetchone()


def _is_to_postgres(connection: Any) -> bool:
    """Return True if an object of SQLAlchemy is a connection or session of PostgreSQL."""
    if not hasattr(connection, "in_nested_transaction"):  # an engine, or a driver's connection
        return False
    owner = connection.get_bind() if hasattr(connection, "get_bind") else connection
    return str(owner.dialect.name) == "postgresql"


async def _fetch_sqlalchemy(connection: Any, statement: str, texts: list[str | None]) -> Any:
    from sqlalchemy import text  # noqa: PLC0415 - the user's own

    values = {f"v{number}": value for number, value in enumerate(texts, 1)}
    result = connection.execute(text(statement), values)
    if inspect.isawaitable(result):
        result = await result
    return result.first()


def _is_storable(text: object) -> bool:
    """Return True if PostgreSQL can store a text."""
    return isinstance(text, str) and "\0" not in text and not _SURROGATE.search(text)


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
