"""The command in an empty folder: init, serve, and the verbs, as a person types them."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.e2e.test_first_start import ENVIRONMENT, free_port


def command(project: Path, port: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "zato_lite", *arguments],
        cwd=project,
        env={**ENVIRONMENT, "ZATO_LITE_SERVER__PORT": str(port)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_new_project_is_served_operated_and_read_after_a_crash(tmp_path: Path) -> None:
    port = free_port()
    assert command(tmp_path, port, "init").returncode == 0
    environ = {**ENVIRONMENT, "ZATO_LITE_SERVER__PORT": str(port)}
    serve = [sys.executable, "-m", "zato_lite", "serve"]
    with (tmp_path / "output.txt").open("wb") as output:
        server = subprocess.Popen(serve, cwd=tmp_path, env=environ, stdout=output, stderr=output)  # noqa: S603
    try:
        assert command(tmp_path, port, "wait").stdout == "ready\n"
        greeted = command(tmp_path, port, "invoke", "hello.hello", "name=Ann")
        assert json.loads(greeted.stdout) == {"message": "Hello, Ann!"}
        ran = command(tmp_path, port, "job", "run", "tick", "--wait")
        assert (ran.returncode, "\tok\t" in ran.stdout) == (0, True)
    finally:
        os.kill(server.pid, signal.SIGKILL)
        server.wait(20)

    listed = command(tmp_path, port, "job", "history", "tick")

    assert (listed.returncode, "\ttick\t" in listed.stdout) == (0, True)
    assert "read from a copy of the project's store" in listed.stderr
    paused = command(tmp_path, port, "job", "pause", "tick")
    assert (paused.returncode, paused.stderr.count("\n")) == (3, 1)
