"""A Redis or Valkey server for tests, on a Unix socket."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PROGRAM = shutil.which("redis-server") or shutil.which("valkey-server")
MISSING = "redis-server is not installed (apt-get install redis-server)"


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run a server that keeps nothing on disk; yield its URL."""
    socket = folder / "redis.sock"
    command = [str(PROGRAM), "--port", "0", "--unixsocket", str(socket), "--save", ""]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as server:  # noqa: S603
        try:
            for _ in range(500):
                if socket.exists():
                    break
                time.sleep(0.01)
            else:
                raise TimeoutError("redis-server does not listen")
            yield f"unix://{socket}"
        finally:
            server.terminate()
