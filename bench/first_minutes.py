"""Time the first minutes of a user: installing, the first answer, the first scheduled run.

Beside zato-lite, from a wheel of the sources, the same steps are done with FastAPI and
APScheduler, and with Litestar and APScheduler. Each gets a new environment in each round; a
round before fills pip's cache, so that the network counts less.

    python -m bench.first_minutes --rounds 3

With ``--page``, the first run of zato-lite counts when it is seen in a browser, on the dashboard's
page of runs, after signing in.
"""

import argparse
import base64
import contextlib
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[1]

SCHEDULER = """\
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from apscheduler.schedulers.asyncio import AsyncIOScheduler

runs = []

@asynccontextmanager
async def lifespan(app):
    scheduler = AsyncIOScheduler()
    first = datetime.now(UTC)
    scheduler.add_job(lambda: runs.append(1), "interval", seconds=10, next_run_time=first)
    scheduler.start()
    yield
    scheduler.shutdown()

"""

FASTAPI = (
    SCHEDULER
    + """\
from fastapi import FastAPI

app = FastAPI(lifespan=lifespan)

@app.get("/ping")
async def ping() -> dict[str, int]:
    return {"runs": len(runs)}
"""
)

LITESTAR = (
    SCHEDULER
    + """\
from litestar import Litestar, get

@get("/ping")
async def ping() -> dict[str, int]:
    return {"runs": len(runs)}

app = Litestar([ping], lifespan=[lifespan])
"""
)

PASSWORD = "first minutes"  # noqa: S105
Figures = dict[str, float]


class Kit:
    """Installation and start of one framework.

    Attributes:
        packages: what pip installs.
        prepare: writes the project.
        command: of the server, by port.
        first_answer: the path that answers.
        has_run: whether a scheduled run is seen over HTTP.
    """

    def __init__(
        self,
        packages: list[str],
        prepare: Callable[[Path, Path], object],
        command: Callable[[int], list[str]],
        first_answer: str,
        has_run: Callable[[int], bool],
    ) -> None:
        self.packages, self.prepare, self.command = packages, prepare, command
        self.first_answer, self.has_run = first_answer, has_run


def ask(port: int, path: str, data: bytes | None = None) -> bytes:
    """Ask a server, as the admin."""
    given = base64.b64encode(f"admin.invoke:{PASSWORD}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", data, {"Authorization": f"Basic {given}"}
    )
    with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
        body: bytes = response.read()
        return body


def seen_on_the_page(port: int) -> bool:
    """Sign in with a browser and wait for the first run on the page of runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/dashboard/runs")
        page.get_by_label("Name").fill("admin.invoke")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("link", name="tick").first.wait_for(timeout=60_000)
        browser.close()
        return True


def zato_lite(wheel: Path, *, in_browser: bool) -> Kit:
    """Return the kit of zato-lite: init, then serve in the new folder."""

    def prepare(folder: Path, programs: Path) -> None:
        subprocess.run([programs / "zato-lite", "init", folder], check=True, capture_output=True)

    def has_run(port: int) -> bool:
        if in_browser:
            return seen_on_the_page(port)
        return b'"outcome":"ok"' in ask(port, "/zato/api/invoke/zato.scheduler.get-runs", b"{}")

    return Kit(
        [str(wheel)],
        prepare,
        lambda port: ["zato-lite", "serve", "--port", str(port)],
        "/zato/ping",
        has_run,
    )


def asgi(packages: list[str], text: str) -> Kit:
    """Return the kit of an ASGI framework with APScheduler, served by uvicorn."""

    def prepare(folder: Path, programs: Path) -> None:
        folder.mkdir()
        (folder / "app.py").write_text(text)

    def has_run(port: int) -> bool:
        return b'"runs":0' not in ask(port, "/ping")

    command = ["uvicorn", "app:app", "--port"]
    return Kit(
        [*packages, "apscheduler>=3.11,<4"],
        prepare,
        lambda port: [*command, str(port)],
        "/ping",
        has_run,
    )


def until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until a condition holds."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.01)
    sys.exit("the condition was not met in time")


def measure(kit: Kit, folder: Path) -> Figures:
    """Install into a new environment, start, and return the figures."""
    programs, figures = folder / "venv/bin", Figures()
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    subprocess.run(
        [
            programs / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *kit.packages,
        ],
        check=True,
    )
    figures["install s"] = time.monotonic() - began
    installed = time.monotonic()
    kit.prepare(folder / "demo", programs)
    port = free_port()
    environ = {**os.environ, "ZATO_LITE_ADMIN_PASSWORD": PASSWORD}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    environ.pop("PYTHONPATH", None)
    for name in ("cold", "warm"):  # the first start compiles the modules
        started = time.monotonic()
        with serving(
            [str(programs / kit.command(port)[0]), *kit.command(port)[1:]],
            folder / "demo",
            environ,
        ) as pid:
            until(lambda: ask(port, kit.first_answer))
            figures[f"first answer s, {name}"] = time.monotonic() - started
            if name == "cold":
                until(lambda: kit.has_run(port))
                figures["first run after installation s"] = time.monotonic() - installed
            time.sleep(2)
            status = Path(f"/proc/{pid}/status").read_text()
            figures["idle RSS MB"] = int(status.partition("VmRSS:")[2].split()[0]) / 1024
    listed = subprocess.run(
        [programs / "python", "-m", "pip", "list", "--format=freeze"],
        check=True,
        capture_output=True,
        text=True,
    )
    figures["packages with pip"] = len(listed.stdout.splitlines())
    size = sum(path.stat().st_size for path in (folder / "venv").rglob("*") if path.is_file())
    figures["MB of the environment"] = size / 1e6
    if (programs / "zato-lite").exists():
        figures["--help ms of CPU"] = min(
            cpu_of([programs / "zato-lite", "--help"]) for _ in range(5)
        )
    return figures


@contextlib.contextmanager
def serving(command: list[str], folder: Path, environ: dict[str, str]) -> Iterator[int]:
    """Run a server."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environ, stdout=log, stderr=log)
        try:
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def cpu_of(command: list[str | Path]) -> float:
    """Return the milliseconds of CPU of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def main() -> None:
    """Print the medians, and those of the others divided by ours."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", action="store_true")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
        subprocess.run([*build, folder], check=True, cwd=ROOT, capture_output=True)
        [wheel] = folder.glob("*.whl")
        kits = {
            "zato-lite": zato_lite(wheel, in_browser=arguments.page),
            "FastAPI": asgi(["fastapi[standard]"], FASTAPI),
            "Litestar": asgi(["litestar[standard]"], LITESTAR),
        }
        found: dict[str, list[Figures]] = {each: [] for each in kits}
        for number in range(rounds + 1):
            for each, kit in kits.items():
                place = folder / f"{each}-{number}"
                place.mkdir()
                figures = measure(kit, place)
                if number:  # the first round fills pip's cache
                    found[each].append(figures)
                print(
                    each,
                    number,
                    {key: round(value, 2) for key, value in figures.items()},
                    flush=True,
                )
    for key in found["zato-lite"][0]:
        values = {each: [f[key] for f in figures if key in f] for each, figures in found.items()}
        line = [f"{each} {median(numbers):.2f}" for each, numbers in values.items() if numbers]
        print(f"{key}: " + ", ".join(line))


if __name__ == "__main__":
    main()
