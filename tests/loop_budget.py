"""Budget of the event loop: the longest time for which a request holds it, by service.

``python -m tests.loop_budget`` measures every built-in service with its worst inputs on a store
with 20,000 jobs and 200,000 runs, and prints the table of ``docs/loop-budget.md``.
"""

import asyncio
import gc
import http.client
import json
import sys
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Self

import msgspec

from zato_lite.app import open_app
from zato_lite.builtin.deploy import built_in_services
from zato_lite.clock import SystemClock
from zato_lite.config import Notify, Server, Settings, Store
from zato_lite.server import open_server
from zato_lite.store.jobs import encode_job
from zato_lite.store.sqlite import SqliteStore
from zato_lite.timetable.job import SECOND, Instant, Interval, Job

LIMIT_MS, PAGES_MS = 50.0, 20.0
"""Milliseconds of CPU time for which a request may hold the loop's thread: one to any service, and
one to a service that the dashboard's pages use."""

_NOT_OF_PAGES = (
    "/metrics",
    "/openapi.json",
    "demo.",
    "helpers.",
    "pub.",
    "test.",
    "zato.helpers.",
    "zato.hot-deploy.",
    "zato.notify.",
    "zato.scheduler.job.create-many",
)

_PASSWORD = "loop-budget"  # noqa: S105 - of a server of its own
_TICK_S = 0.001
_ATTEMPTS = 3
"""Measurements of an input that seems to exceed the limit: other programs may be the cause."""


class Meter:
    """Longest time of the loop's thread between two turns of the loop, in ms of its CPU clock.

    Without the garbage collector, whose work grows with all that this process has made before.
    """

    def __init__(self) -> None:
        self.longest_ms = 0.0
        self._last = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def __aenter__(self) -> Self:
        gc.disable()
        self._last = time.thread_time()
        self._tick()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.sleep(_TICK_S * 2)
        if self._timer is not None:
            self._timer.cancel()
        gc.enable()

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


_INSERT_AUDIT = """INSERT INTO audit (who, action, subject, outcome, cid, remote_address, at,
        changes)
    SELECT 'ann', 'zato.scheduler.job.pause-many', '15000 jobs: 2, 4, 6', 'ok', '', '', ?3 + i, ?2
    FROM n"""
_IDS = ", ".join(str(number) for number in range(2, 60_000, 2))[:100_000]
AUDIT_ROWS = 1_000
"""Records of changes of many jobs, each with as many ids as it can have."""


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
        (_NUMBERS + _INSERT_AUDIT, (AUDIT_ROWS, _dump({"ids": _IDS}).decode(), begin)),
        ("UPDATE sequence SET value = ?1 WHERE name = 'job'", (jobs,)),
        ("UPDATE sequence SET value = ?1 WHERE name = 'token'", (runs,)),
        ("COMMIT", ()),
    ]
    for statement, values in statements:
        store._writer.execute(statement, values).fetchall()
    store.close()


class Case(NamedTuple):
    """A request for a path, described in a few words."""

    path: str
    label: str
    body: bytes | None

    @classmethod
    def of(cls, service: str, label: str, payload: Any) -> Self:
        """Return the case of a service and its input."""
        return cls(f"/zato/api/invoke/{service}", label, _dump(payload))

    @property
    def name(self) -> str:
        """The service, or the path of another resource."""
        return self.path.removeprefix("/zato/api/invoke/")

    @property
    def limit_ms(self) -> float:
        """Milliseconds for which the request may hold the loop's thread."""
        return LIMIT_MS if self.name.startswith(_NOT_OF_PAGES) else PAGES_MS


class Figure(NamedTuple):
    """A case, its status, and the longest time for which it held the loop, in ms."""

    case: Case
    status: int
    longest_ms: float


@asynccontextmanager
async def served(jobs: int, runs: int) -> AsyncIterator[Client]:
    """Serve a new store with these numbers of jobs and runs."""
    settings = Settings(
        store=Store("sqlite:///z.db"),
        server=Server(port=0, grace=0.0),
        notify=Notify(
            webhooks=("http://127.0.0.1:9/",),
            smtp_host="127.0.0.1",
            smtp_port=9,
            mail_from="a@example.com",
            mail_to=("b@example.com",),
        ),
    )
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "services").mkdir()
        fill(folder / "z.db", jobs, runs, SystemClock().now())
        environ = {"ZATO_LITE_ADMIN_PASSWORD": _PASSWORD}
        async with open_app(folder, settings) as app, open_server(app, environ) as server:
            client = Client(int(server.url.rsplit(":", 1)[1].strip("/")), _PASSWORD)
            await client.get("/zato/session")  # checking a password takes a while
            yield client


async def measured(client: Client, case: Case) -> Figure:
    """Send a request; measure it again if it seems to exceed the limit."""
    longest, status = [], 0
    for _ in range(_ATTEMPTS):
        async with Meter() as meter:
            if case.body is None:
                status, _ = await client.get(case.path)
            else:
                status, _ = await client.post(case.path, case.body)
        longest.append(meter.longest_ms)
        if longest[-1] <= case.limit_ms:
            break
    return Figure(case, status, min(longest))


def all_cases() -> Iterator[Case]:
    """Yield every built-in service with inputs for any service and with its own worst ones."""
    for path in ("/metrics", "/openapi.json", "/docs", "/healthz", "/readyz", "/zato/session"):
        yield Case(path, "GET", None)
    generic = [*generic_inputs()]
    for name in sorted(each.name for each in built_in_services()):
        for label, payload in own_inputs(name):
            yield Case.of(name, label, payload)
        for label, body in generic:
            yield Case(f"/zato/api/invoke/{name}", label, body)
    for label, body in generic:
        text = b64encode(body[:740_000]).decode()
        envelope = _dump({"name": "demo.echo", "payload": text})
        yield Case("/zato/admin/invoke", f"{label}, in base64", envelope)


def own_inputs(name: str) -> list[tuple[str, Any]]:
    """Return the worst valid inputs of a service: `{}` if none is known."""
    return _OWN.get(name.removeprefix("zato.scheduler."), [("nothing", {})])


def table(figures: Iterable[Figure]) -> str:
    """Return the table of the worst input of each service."""
    worst: dict[str, Figure] = {}
    for figure in figures:
        name = figure.case.name
        if name not in worst or worst[name].longest_ms < figure.longest_ms:
            worst[name] = figure
    lines = ["| service or path | worst input | longest block, ms |", "|---|---|---:|"]
    for name, figure in sorted(worst.items()):
        lines.append(f"| `{name}` | {figure.case.label} | {figure.longest_ms:.1f} |")
    return "\n".join(lines) + "\n"


async def main(jobs: int = 20_000, runs: int = 200_000) -> None:
    """Measure all and print the table."""
    async with served(jobs, runs) as client:
        sys.stdout.write(table([await measured(client, case) for case in all_cases()]))


def generic_inputs() -> Iterator[tuple[str, bytes]]:
    """Yield inputs for any service: each as costly as a mebibyte can be in its way."""
    yield "many keys", _dump({f"serv{i}": 1 for i in range(65_000)})
    yield "many keys with null", _dump({f"k{i}": None for i in range(65_000)})
    yield "long list", _dump([*range(130_000)])
    yield "list of objects, with spaces", json.dumps([{"a": 1}] * 95_000).encode()
    yield "escapes", json.dumps([{"\u00e4": 1}] * 65_000).encode()
    yield "deep nesting", b"[" * 900 + b"]" * 900
    yield "long texts", _dump(dict.fromkeys(_FIELDS, "9" * 50_000))
    yield "long lists", _dump(dict.fromkeys(_FIELDS, [1] * 25_000))
    for field in ("id", "name", "until", "at", "cron_definition", "timezone", "start_date"):
        yield f"`{field}` of 900 kB", _dump({field: "9" * 900_000})


_FIELDS = (
    "id", "name", "job_id", "service", "query", "service_name", "jobs", "until", "at",
    "document", "start_date", "cron_definition", "timezone", "password", "note", "payload_name",
    "payload", "extra", "dates",
)  # fmt: skip


def _jobs(count: int, **fields: Any) -> list[dict[str, Any]]:
    start = {"start_date": "2099-01-01T00:00:00", "service": "demo.ping"}
    return [{"name": f"n{i}", **start, **_EVERY, **fields} for i in range(count)]


def _dump(value: Any) -> bytes:
    return msgspec.json.encode(value)


_EVERY = {"job_type": "interval_based", "minutes": 5}
_YAML = "".join(
    f"- {{name: d{i}, service: demo.ping, job_type: one_time}}\n" for i in range(17_000)
)
_CRONS = [
    {"name": f"c{i}", "service": "demo.ping", "job_type": "cron_style",
     "cron_definition": f"{i % 60} {i % 24} {i % 28 + 1} * *"}
    for i in range(1_000)
]  # fmt: skip
_UNKNOWN = json.dumps(
    [{"id": f"n{i}", "func": f"demo.pong{i}", "trigger": "date"} for i in range(9_000)]
)
_LOGGED: list[tuple[str, Any]] = [
    ("names of secrets", {"message": 'password="' * 90_000}),
    ("beginnings of tokens", {"message": "eyJ" * 300_000}),
    ("addresses with passwords", {"message": "://a:" * 180_000}),
]
_UNTIL = "2030-01-01T00:00:00"
_DATES = [f"{2000 + i // 336}-{i // 28 % 12 + 1:02}-{i % 28 + 1:02}" for i in range(5_000)]
_DAYS = {"start": "2026-01-01T00:00:00", "until": "2026-01-15T00:00:00"}
_OWN: dict[str, list[tuple[str, Any]]] = {
    "get-figures": [
        ("400 parts with percentiles", {**_DAYS, "buckets": 400, "include": ["percentiles"]}),
        ("200 jobs", {**_DAYS, "group": "job", "ids": [*range(1, 201)],
                      "buckets": 400, "include": ["percentiles"]}),
        ("services", {**_DAYS, "group": "service", "buckets": 400}),
    ],
    "get-runs": [
        ("200 runs", {"limit": 200}),
        ("200 rare runs", {"limit": 200, "outcomes": ["error"]}),
        ("no run", {"kind": "backfill"}),
    ],
    "get-forecast": [
        ("two weeks", {"days": 14, "bucket_minutes": 5}),
        ("a time with slots", {"start": "2099-01-01", "days": 14, "limit": 200}),
    ],
    "get-attention": [("200 items", {"limit": 200})],
    "get-timeline": [
        ("200 lanes, 14 days", {**_DAYS, "limit": 200}),
        ("200 coming lanes", {"start": "2099-01-01", "until": "2099-01-15", "limit": 200}),
    ],
    "job.export": [("all jobs", {})],
    "job.get-list": [
        ("all jobs", {}),
        ("all jobs by a word", {"query": "job"}),
        ("a query of wildcards", {"query": "%_" * 450_000}),
        ("the last page", {"cur_page": 200, "page_size": 100}),
        ("all jobs by duration", {"sort": "duration"}),
        ("a table of 500 jobs", {"page_size": 500, "include": ["outcomes", "durations", "words"]}),
    ],
    "job.get-last-run-list": [("10,000 ids", {"id_list": [*range(1, 10_001)]})],
    "job.get-current-state": [
        ("all", {}),
        ("1,000 recent runs", {"recent_limit": 1_000}),
        ("a chart of an hour", {"chart_since_iso": "2020-01-01T00:00:00"}),
    ],
    "job.get-history": [
        ("1,000 runs", {"id": 1, "page_size": 1_000}),
        ("a late page", {"id": 1, "page": 1_000_000, "page_size": 1_000}),
        ("10,000 numbers", {"id": 1, "since_timestamp": 0, "running_runs": [*range(1, 10_001)]}),
    ],
    "job.get-ledger": [
        ("1,000 rows", {"page_size": 1_000}),
        ("a late page", {"page": 1_000_000, "page_size": 1_000}),
    ],
    "job.simulate": [
        ("all jobs, 100,000 slots", {"until": _UNTIL, "limit": 100_000}),
        ("1,000 cron jobs", {"until": _UNTIL, "limit": 100_000, "jobs": _CRONS}),
        ("too many definitions", {"until": _UNTIL, "jobs": _jobs(8_000)}),
    ],
    "job.get-upcoming": [
        ("1,000 slots", {"name": "job.000001", "count": 1_000}),
        (
            "a rare slot",
            {"job_type": "cron_style", "cron_definition": "0 0 29 2 *", "count": 1_000},
        ),
    ],
    "job.validate": [("a text of 500 kB", {"name": "v", "service": "demo.ping", **_EVERY,
                                           "extra": "x" * 490_000})],
    "job.create": [("an object of 600 kB", {"name": "e", "service": "demo.ping", **_EVERY,
                                            "extra": {"a": [{"b": 1}] * 60_000}})],
    "job.create-many": [
        ("8,000 equal jobs", {"jobs": _jobs(8_000)}),
        ("3,000 different jobs",
         {"jobs": [{**each, "name": f"o{i}", "repeats": str(i + 1)}
                   for i, each in enumerate(_jobs(3_000))]}),
        ("13,000 wrong jobs", {"jobs": [{"name": f"m{i}", "job_type": "x", "y": 5}
                                        for i in range(13_000)]}),
    ],
    "job.apply": [
        ("8,000 definitions", {"jobs": _jobs(8_000), "dry_run": True}),
        ("17,000 definitions in YAML", {"document": "scheduler:\n" + _YAML, "dry_run": True}),
        ("brackets", {"document": "[" * 900_000}),
        ("numbers to base 60", {"document": "a: " + "1:" * 450_000 + "1"}),
        ("deep blocks", {"document": "".join(f"{' ' * i}a:\n" for i in range(1_300))}),
        ("question marks", {"document": "? " * 450_000}),
        ("merged keys", {"document": "a: &a {b: 1}\nc: {" + "<<: *a, " * 100_000 + "}"}),
        ("aliases", {"document": "a: &a [1,2,3]\nb: [" + "*a," * 300_000 + "]"}),
    ],
    "job.import": [
        ("40,000 crontab lines", {"format": "crontab", "service": "demo.ping",
                                  "document": "*/5 * * * * /bin/true\n" * 40_000}),
        ("a long Python list", {"format": "celery", "document": "x = [" + "1," * 400_000 + "]"}),
        ("a long JSON list", {"format": "apscheduler",
                              "document": "[" + '{"a": 1},' * 80_000 + "1]"}),
        ("unknown services", {"format": "apscheduler", "document": _UNKNOWN}),
        ("open brackets", {"format": "celery", "document": "x = " + "(" * 900_000}),
        ("deep elements", {"format": "quartz", "service": "demo.ping",
                           "document": "<a>" * 300_000}),
        ("sections", {"format": "systemd", "service": "demo.ping", "document": "[" * 900_000}),
        ("aliases", {"format": "kubernetes", "service": "demo.ping",
                     "document": "a: &a [1,2,3]\nb: [" + "*a," * 300_000 + "]"}),
        ("many elements", {"format": "quartz", "service": "demo.ping",
                           "document": "<a>" + "<b/>" * 200_000 + "</a>"}),
    ],
    "job.backfill": [("10,000 slots", {"id": 2, "first": "2020-01-01T00:00:00",
                                       "last": "2020-02-04T00:00:00", "force": True})],
    "calendar.create": [
        ("5,000 dates", {"name": "c", "dates": _DATES}),
        ("500 rules", {"name": "d", "yearly": ["easter+1"] * 500}),
        ("too many dates", {"name": "e", "dates": _DATES * 14}),
        ("too many rules", {"name": "e", "yearly": ["12-25"] * 90_000}),
    ],
    "zato.service.invoke": [("a list of objects", {"name": "demo.echo",
                                                   "payload": [{"a": 1}] * 90_000})],
    "zato.helpers.raw-request-logger": [*_LOGGED],
    "zato.helpers.input-logger": [*_LOGGED],
    "zato.security.user.create": [("patterns of stars", {
        "name": "u", "password": "loop-budget", "patterns": ["*a" * 100] * 100})],
    "zato.security.key.create": [("patterns of brackets", {"patterns": ["[" * 200] * 100})],
    "zato.notify.webhook": [("a text of 900 kB", {"message": "x" * 900_000}), *_LOGGED],
    "zato.notify.email": [("a text of 900 kB", {"message": "x" * 900_000}),
                          ("65,000 fields", {f"k{i}": 1 for i in range(65_000)})],
    "zato.hot-deploy.create": [("190,000 lines", {
        "payload_name": "x.py", "payload": b64encode(b"a=1\n" * 190_000).decode()})],
    "zato.audit.get-list": [
        ("1,000 rows", {"page_size": 1_000}),
        ("1,000 rows of a job", {"page_size": 1_000, "id": 2}),
        ("no row of a job", {"page_size": 1_000, "id": 3}),
    ],
    "job.get-audit": [
        ("1,000 rows", {"page_size": 1_000, "id": 2}),
        ("no row", {"page_size": 1_000, "id": 3}),
    ],
}  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main())
