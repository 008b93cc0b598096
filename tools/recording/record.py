"""Record docs/images/terminal.svg: commands that are typed and executed in a new project.

The output is that of the commands, cut short where they wait. `svg-term-cli` of npm draws it.

    PYTHONPATH=. python tools/recording/record.py
"""

import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
COLUMNS, LINES = 124, 30
LETTER_S, PAUSE_S, LONGEST_WAIT_S = 0.035, 1.6, 0.5
PROMPT = "\x1b[32m$\x1b[0m "

SCRIPT = [
    "zato-lite init demo && cd demo",
    "zato-lite serve & sleep 3",
    "zato-lite invoke hello.hello name=Ann",
    "zato-lite job create nightly hello.hello --cron '30 2 * * *' --timezone Europe/Warsaw",
    "zato-lite job upcoming nightly --remarkable -n 3",
    "zato-lite job list",
    "kill -9 %1; sleep 1; zato-lite serve & sleep 12",
    "zato-lite job history tick -n 5",
    "zato-lite job pause nightly -m 'prices are wrong' && zato-lite job why nightly",
]

Event = tuple[float, str, str]


class Recorder:
    """Types commands into one shell on a terminal, and notes what appears."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        self.events: list[Event] = []
        self.now = 0.0
        environ = {
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "COLUMNS": str(COLUMNS),
            "ZATO_LITE_SERVER__PORT": str(port),
            "ZATO_LITE_ADMIN_PASSWORD": "recorded once",
            "PS1": "",
        }
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self.shell = subprocess.Popen(
            ["/bin/bash", "--norc", "--noprofile", "-i"],
            stdin=slave, stdout=slave, stderr=slave,
            cwd=folder, env=environ, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self._execute("stty -echo; set +m")

    def type(self, command: str) -> None:
        """Show a command as somebody types it, and its output."""
        self._show(PROMPT)
        for letter in command:
            self.now += LETTER_S
            self._show(letter)
        self.now += 0.3
        self._show("\r\n")
        for waited, text in self._execute(command):
            self.now += min(waited, LONGEST_WAIT_S)
            self._show(text)
        self.now += PAUSE_S

    def _show(self, text: str) -> None:
        self.events.append((round(self.now, 3), "o", text))

    def _execute(self, command: str) -> list[tuple[float, str]]:
        mark = f"done-{len(self.events)}"
        os.write(self.master, f"{command}\necho {mark[:4]}'{mark[4:]}'\n".encode())
        found: list[tuple[float, str]] = []
        began = time.monotonic()
        while True:
            if not select.select([self.master], [], [], 60)[0]:
                sys.exit(f"{command} did not end")
            text = os.read(self.master, 65536).decode("utf-8", "replace")
            now = time.monotonic()
            before, _, rest = text.partition(mark)
            if before:
                found.append((now - began, before))
            if rest or mark in text:
                return found
            began = now

    def close(self) -> None:
        """End the shell and its servers."""
        os.killpg(self.shell.pid, signal.SIGKILL)


def main() -> None:
    """Record, and draw."""
    with tempfile.TemporaryDirectory() as name:
        recorder = Recorder(Path(name))
        try:
            for command in SCRIPT:
                recorder.type(command)
        finally:
            recorder.close()
        head = {"version": 2, "width": COLUMNS, "height": LINES}
        lines = [
            head,
            *([at, kind, text.replace(name, "~")] for at, kind, text in recorder.events),
        ]
        cast = Path(name) / "terminal.cast"
        cast.write_text("\n".join(json.dumps(line) for line in lines))
        target = ROOT / "docs/images/terminal.svg"
        draw = ["npx", "--yes", "svg-term-cli@2.1.1", "--in", cast, "--out", target, "--window"]
        subprocess.run(draw, check=True)  # noqa: S603
        print(target, target.stat().st_size // 1000, "kB")  # noqa: T201


if __name__ == "__main__":
    main()
