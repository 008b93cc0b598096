"""Hot reloads under load: a real server, HTTP requests, a job of each second, files that change.

``.venv/bin/python bench/soak_reload.py --minutes 10``. Every version of the service answers its
own number, and a second file is mostly broken. It counts requests that failed
without a fault of their version, answers of replaced versions, runs of the job that were not ok,
and the growth of the server's memory.
"""

import argparse
import base64
import http.client
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

PORT = 17877
PASSWORD = "soak-soak-soak"  # noqa: S105 - a server of its own, on loopback
HEADERS = {
    "Authorization": "Basic " + base64.b64encode(f"admin.invoke:{PASSWORD}".encode()).decode(),
    "Content-Type": "application/json",
}

GOOD = """
from zato_lite import Service
from soak_model import FACTOR

class Version(Service):
    async def handle(self):
        return {{'version': {version} * FACTOR}}
"""
OTHER = """
from zato.server.service import Service

class Other(Service):
    def handle(self):
        self.response.payload = self.invoke('soak-good.version')
"""
BROKEN = ("class :", "raise SystemExit", "import nothing_of_the_kind", "x = 1 / 0", "\0")


class Client:
    """One keep-alive connection."""

    def __init__(self) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)

    def invoke(self, service: str, payload: Any = None) -> tuple[int, Any]:
        body = json.dumps(payload or {})
        self._connection.request("POST", f"/zato/api/invoke/{service}", body, HEADERS)
        response = self._connection.getresponse()
        return response.status, json.loads(response.read() or b"null")


class Load(threading.Thread):
    """Send requests one after another, with a pause, until stopped."""

    def __init__(self, service: str, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.service, self.stop = service, stop
        self.done, self.longest = 0, 0.0
        self.failed: list[Any] = []
        self.versions: list[int] = []

    def run(self) -> None:
        client = Client()
        while not self.stop.wait(0.01):
            began = time.monotonic()
            try:
                status, answer = client.invoke(self.service)
            except Exception as error:  # noqa: BLE001 - it is counted
                self.failed.append(repr(error))
                client = Client()
                continue
            self.done += 1
            self.longest = max(self.longest, time.monotonic() - began)
            if status == 200:
                self.versions.append(answer["version"])
            else:
                self.failed.append((status, answer))


def write(path: Path, text: str) -> None:
    """As editors do: sometimes in one step, sometimes in two halves."""
    if random.random() < 0.5:  # noqa: S311 - no secret
        path.write_text(text)
        return
    half = len(text) // 2
    with path.open("w") as file:
        file.write(text[:half])
        file.flush()
        time.sleep(0.005)
        file.write(text[half:])


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main(minutes: float) -> None:
    with tempfile.TemporaryDirectory() as name:
        project = Path(name)
        services = project / "services"
        services.mkdir()
        (services / "soak_model.py").write_text("FACTOR = 1\n")
        (services / "soak_good.py").write_text(GOOD.format(version=0))
        (services / "soak_other.py").write_text(OTHER)
        command = [str(Path(sys.executable).parent / "zato-lite"), "serve"]
        server = subprocess.Popen(
            [*command, "--project", name, "--port", str(PORT)],
            env={**os.environ, "ZATO_LITE_ADMIN_PASSWORD": PASSWORD},
            stdout=(project / "log").open("w"),
            stderr=subprocess.STDOUT,
        )
        try:
            soak(project, server.pid, minutes * 60)
        finally:
            server.terminate()
            server.wait(60)


def soak(project: Path, pid: int, seconds: float) -> None:
    services = project / "services"
    client = _when_up()
    job = {
        "name": "each-second",
        "service": "soak-good.version",
        "job_type": "interval_based",
        "start_date": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
        "seconds": 1,
    }
    status, created = client.invoke("zato.scheduler.job.create", job)
    assert status == 200, created
    stop = threading.Event()
    loads = [Load("soak-good.version", stop), Load("soak-other.other", stop)]
    for load in loads:
        load.start()
    began = time.monotonic()
    version, memory = 0, []
    while (passed := time.monotonic() - began) < seconds:
        version += 1
        _change_files(services, version)
        time.sleep(random.uniform(0.05, 1.0))  # noqa: S311
        if passed >= 30 * len(memory):
            memory.append(round(rss_mb(pid), 1))
            requests = sum(load.done for load in loads)
            print(f"{passed:.0f} s: {version} versions, {requests} requests, {memory[-1]} MB")
    time.sleep(3)
    client = Client()  # the first connection was closed while it was idle
    last = client.invoke("soak-good.version")[1]
    stop.set()
    for load in loads:
        load.join(5)
        falls = sum(1 for a, b in zip(load.versions, load.versions[1:], strict=False) if b < a)
        print(
            f"{load.service}: {load.done} requests, {len(load.failed)} failed, {falls} went back"
        )
        print(*load.failed[:5], sep="\n")
    asked = {"id": created["id"], "page_size": 1000}
    history = client.invoke("zato.scheduler.job.get-history", asked)[1]
    outcomes: dict[str, int] = {}
    for row in history["rows"]:
        outcomes[row["outcome"]] = outcomes.get(row["outcome"], 0) + 1
    print(f"job: {outcomes}; version {version} written, {last} served; memory {memory}")


def _change_files(services: Path, version: int) -> None:
    write(services / "soak_good.py", GOOD.format(version=version))
    broken = services / "soak_broken.py"
    write(broken, random.choice(BROKEN) if version % 10 else "x = 1\n")  # noqa: S311
    if version % 7 == 0:
        for n in range(100):
            (services / f"soak_many_{n}.py").write_text(f"x = {version}\n")
    if version % 7 == 3:
        for path in services.glob("soak_many_*.py"):
            path.unlink()


def _when_up() -> Client:
    for _ in range(200):
        try:
            client = Client()
            if client.invoke("zato.ping")[0] == 200:
                return client
        except OSError:
            pass
        time.sleep(0.1)
    raise SystemExit("the server does not answer")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    main(parser.parse_args().minutes)
