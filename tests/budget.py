"""Budget of the event loop: a store of the largest size, worst inputs, and the loop's meter."""

import asyncio
import http.client
import json
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import msgspec

from zato_lite.store.jobs import encode_job
from zato_lite.store.sqlite import SqliteStore
from zato_lite.timetable.job import SECOND, Instant, Interval, Job

MIB = 1024 * 1024
_TICK_S = 0.001


class Meter:
    """Longest time of the loop's thread between two turns of the loop, in ms of its CPU clock."""

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        self._last = time.thread_time()
        self._tick()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.sleep(_TICK_S * 2)
        if self._timer is not None:
            self._timer.cancel()

    def _tick(self) -> None:
        now = time.thread_time()
        self.longest_ms = max(self.longest_ms, (now - self._last) * 1000)
        self._last = now
        self._timer = asyncio.get_running_loop().call_later(_TICK_S, self._tick)


class Client:
    """Client that sends each request from a thread, so that the loop's thread only serves."""

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        credentials = b64encode(f"admin.invoke:{password}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}"}

    async def post(self, path: str, body: bytes) -> tuple[int, bytes]:
        return await asyncio.to_thread(self._send, "POST", path, body)

    async def get(self, path: str) -> tuple[int, bytes]:
        return await asyncio.to_thread(self._send, "GET", path, None)

    def _send(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=120)
        headers = {**self._headers, "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        return response.status, answer


_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) "
_INSERT_JOBS = """INSERT INTO job (id, name, service, is_active, definition, version, created_at)
    SELECT i, printf('job.%06d', i), 'demo.ping', 1,
        ?2 || printf('"job.%06d"', i) || ?3, 1, ?4 FROM n"""
_INSERT_TIMERS = """INSERT INTO timer (job_id, next_at, cursor, started, number)
    SELECT i, ?2, ?3, ?4, ?4 FROM n"""
_INSERT_RUNS = """INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt,
        crashes, claimed_at, started_at, finished_at, outcome)
    SELECT i, 1 + i % ?2, 1 + i / ?2, ?3 + i * ?4, 'scheduled', 'done', 1, i, 1, 0,
        ?3 + i * ?4, ?3 + i * ?4, ?3 + i * ?4 + 1000, CASE WHEN i % 50 THEN 'ok' ELSE 'error' END
    FROM n"""


def fill(path: Path, jobs: int, runs: int, now: Instant) -> None:
    """Create a store with many jobs, of which none is due soon, and runs in the last 4 hours."""
    store = SqliteStore(str(path))
    store.open(now)
    far, begin = now + 365 * 86_400 * SECOND, now - 4 * 3600 * SECOND
    job = Job(
        name="@", service="demo.ping", trigger=Interval(start=far, minutes=5), extra="x" * 40
    )
    head, tail = encode_job(job).split('"@"')
    statements: list[tuple[str, tuple[int | str, ...]]] = [
        ("BEGIN", ()),
        (_NUMBERS + _INSERT_JOBS, (jobs, head, tail, begin)),
        (_NUMBERS + _INSERT_TIMERS, (jobs, far, now, runs // jobs)),
        (_NUMBERS + _INSERT_RUNS, (runs, jobs, begin, 4 * 3600 * SECOND // runs)),
        ("UPDATE sequence SET value = ?1 WHERE name = 'job'", (jobs,)),
        ("UPDATE sequence SET value = ?1 WHERE name = 'token'", (runs,)),
        ("COMMIT", ()),
    ]
    for statement, values in statements:
        store._writer.execute(statement, values).fetchall()
    store.close()


def generic_inputs() -> Iterator[tuple[str, bytes]]:
    """Yield inputs for any service: each as costly as a mebibyte can be in its way."""
    yield "many keys", _dump({f"serv{i}": 1 for i in range(65_000)})
    yield "many keys with null", _dump({f"k{i}": None for i in range(65_000)})
    yield "long list", _dump([*range(130_000)])
    yield "list of objects", json.dumps([{"a": 1}] * 95_000).encode()
    yield "escapes", json.dumps([{"\u00e4": 1}] * 65_000).encode()
    yield "deep nesting", b"[" * 900 + b"]" * 900
    yield "long texts", _dump(dict.fromkeys(_FIELDS, "9" * 50_000))
    yield "long lists", _dump(dict.fromkeys(_FIELDS, [1] * 25_000))
    for field in ("id", "name", "until", "at", "cron_definition", "timezone", "start_date"):
        yield f"{field} of 900 kB", _dump({field: "9" * 900_000})


_FIELDS = (
    "id", "name", "job_id", "service", "query", "service_name", "jobs", "until", "at",
    "document", "start_date", "cron_definition", "timezone", "password", "note", "payload_name",
    "payload", "extra", "dates",
)  # fmt: skip


def _dump(value: Any) -> bytes:
    return msgspec.json.encode(value)
