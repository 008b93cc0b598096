"""Real ``zato-lite serve`` processes that tests invoke, kill and restart."""

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

from tests.checker import Effect, Gap, Run

PASSWORD = "not-a-secret"  # noqa: S105
SERVICES = '''
import asyncio
import os
import time

from zato_lite import Service


def write_down(word, job):
    """Append a line to a file that outlives the process; a kill needs no sync."""
    slot = round(job.slot.timestamp() * 1_000_000)
    now = time.time_ns() // 1000
    line = f"{word} {job.id} {slot} {job.attempt} {job.token} {now}\\n"
    handle = os.open(os.environ["FAULTS_EFFECTS"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(handle, line.encode())
    os.close(handle)


class Mark(Service):
    name = "faults.mark"

    async def handle(self):
        write_down("began", self.job)


class Quiet(Service):
    name = "faults.quiet"

    async def handle(self):
        pass


class Slow(Service):
    name = "faults.slow"

    async def handle(self):
        write_down("began", self.job)
        await asyncio.sleep(3)
        write_down("ended", self.job)


class Process(Service):
    name = "faults.process"

    async def handle(self):
        self.response.payload = os.getpid()


class StopLoop(Service):
    name = "faults.stop-loop"

    async def handle(self):
        asyncio.get_running_loop().stop()


class ExitLater(Service):
    """End the loop from a callback, where no invoker contains the exception."""

    name = "faults.exit-later"

    async def handle(self):
        def leave():
            raise SystemExit(7)

        asyncio.get_running_loop().call_soon(leave)


class CancelAll(Service):
    name = "faults.cancel-all"

    async def handle(self):
        for task in asyncio.all_tasks():
            task.cancel()


class Exit(Service):
    """Exit the whole process."""

    name = "faults.exit"

    async def handle(self):
        write_down("began", self.job)
        os._exit(1)
'''


class RefusedError(Exception):
    """The server answered with an error."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Server:
    """Server process and its project; the port stays the same over restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.database = folder / "data" / "zato-lite.db"
        self.effects = folder / "effects.txt"
        self.output = folder / "output.txt"
        self.launches: list[int] = []
        self.environment: dict[str, str] = {}
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.options = ["--no-reload"]
        (folder / "services").mkdir(parents=True, exist_ok=True)
        (folder / "services" / "faults.py").write_text(SERVICES)

    def launch(self, wrapper: Sequence[str] = ()) -> None:
        """Start the server, optionally through another program, without waiting for it."""
        self.launches.append(time.time_ns() // 1000)  # noqa: TID251 - a real process
        command = [*wrapper, sys.executable, "-m", "zato_lite", "serve", *self.options]
        command += ["--project", str(self.folder), "--port", str(self.port)]
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(  # noqa: S603
                command,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONDONTWRITEBYTECODE": "",  # started often, compiled once
                    "ZATO_LITE_ADMIN_PASSWORD": PASSWORD,
                    "FAULTS_EFFECTS": str(self.effects),
                    **self.environment,
                },
            )

    def send(self, service: str) -> None:
        """Invoke a service that may end the server before it answers."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._request("POST", f"/zato/api/invoke/{service}", None, 3.0)

    def start(self, patience: float = 60.0) -> float:
        """Start the server and wait for its first answer; return the seconds."""
        began = time.monotonic()
        self.launch()
        while time.monotonic() - began < patience:
            if self.process is None or self.process.poll() is not None:
                break
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._request("GET", "/zato/ping")[0] == 200:
                    return time.monotonic() - began
            time.sleep(0.01)
        self.kill()
        raise AssertionError(f"the server does not answer: {self.output.read_text()[-3000:]}")

    def invoke(self, service: str, payload: Any = None, patience: float = 10.0) -> Any:
        """Invoke a service over HTTP.

        Raises:
            RefusedError: the server answered with an error.
            OSError: the connection broke; the effect is unknown.
            http.client.HTTPException: the same.
        """
        body = json.dumps(payload) if payload is not None else None
        status, answer = self._request("POST", f"/zato/api/invoke/{service}", body, patience)
        decoded = json.loads(answer) if answer else None
        if status != 200:
            raise RefusedError(status, decoded)
        return decoded

    def wait(self, patience: float) -> None:
        """Wait until the server is dead, or for ``patience`` seconds."""
        if self.process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(patience)

    def kill(self) -> None:
        """Kill the server and its children with SIGKILL."""
        self.end(signal.SIGKILL)

    def stop(self) -> int:
        """Stop the server with SIGTERM; return its exit status."""
        return self.end(signal.SIGTERM)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end; return the exit status."""
        if self.process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        code = self.process.wait(30)
        self.process = None
        return code

    def seen(self, word: str = "began") -> list[Effect]:
        """Return the recorded effects of services."""
        lines = self.effects.read_text().splitlines() if self.effects.exists() else []
        split = [line.split() for line in lines]
        return [Effect(*map(int, fields)) for kind, *fields in split if kind == word]

    def history(self, jobs: Sequence[int]) -> tuple[list[Run], list[Gap]]:
        """Read the scheduled runs and ledger rows of these jobs from the file."""
        wanted = f"job_id IN ({','.join(map(str, jobs))})"
        runs = self.query(
            "SELECT job_id, slot, attempt, token, started_at, outcome FROM run"  # noqa: S608
            f" WHERE kind = 'scheduled' AND {wanted}"
        )
        gaps = self.query(
            f"SELECT job_id, first, last, count, outcome FROM ledger WHERE {wanted}"  # noqa: S608
        )
        return [Run(*row) for row in runs], [Gap(*row) for row in gaps]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the database file."""
        connection = apsw.Connection(str(self.database), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(5000)
        try:
            return list(connection.execute(sql))
        finally:
            connection.close()

    def _request(
        self, method: str, path: str, body: str | None = None, patience: float = 2.0
    ) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience)
        basic = base64.b64encode(f"admin.invoke:{PASSWORD}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()


def interval(name: str, service: str, start: str, **more: Any) -> dict[str, Any]:
    """Return the definition of a job of one second."""
    return {
        "cluster_id": 1,
        "name": name,
        "is_active": True,
        "service": service,
        "job_type": "interval_based",
        "start_date": start,
        "seconds": 1,
        **more,
    }


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
