"""The tutorial and the how-to guides, followed word by word.

In a new project with a running server, the blocks of a guide are taken in their order: one whose
first line names a file is written to it, one of bash is executed. Other blocks are for the eye.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.conftest import until
from tests.e2e.test_first_start import PASSWORD, Started, free_port

DOCS = Path(__file__).parents[2] / "docs"
GUIDES = sorted((DOCS / "how-to").glob("*.md"))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w./-]+\.\w+)\b.*\n")


class Block(NamedTuple):
    """A block of code: its kind, and its text."""

    kind: str
    text: str

    @property
    def file(self) -> str:
        """Path of the file that the first line names; empty for none."""
        match = FILE.match(self.text)
        return "" if match is None or self.kind == "bash" else match[1]

    def write(self, folder: Path) -> None:
        path = folder / self.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text.partition("\n")[2])


def blocks_of(page: Path) -> list[Block]:
    return [Block(*found) for found in BLOCK.findall(page.read_text("utf-8"))]


def texts_of(blocks: list[Block]) -> list[str]:
    """Return what a guide says that the commands print."""
    return [block.text.strip() for block in blocks if block.kind == "text"]


class Reader:
    """A person who follows a guide: a terminal in a folder, with zato-lite on its path."""

    def __init__(self, folder: Path) -> None:
        self.home, self.folder, self.port = folder, folder / "work", free_port()
        self.folder.mkdir()
        self.output = ""
        programs = Path(sys.executable).parent
        self.environ = {
            **{name: value for name, value in os.environ.items() if "ZATO_LITE" not in name},
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "ZATO_LITE_SERVER__PORT": str(self.port),
            "ZATO_LITE_URL": f"http://127.0.0.1:{self.port}",
            "ZATO_LITE_ADMIN_PASSWORD": PASSWORD,
            "ZATO_LITE_PASSWORD": PASSWORD,
        }

    def run(self, text: str) -> None:
        """Execute a block; the folder in which it ends is where the next one begins."""
        where = self.home / "where"
        script = f"set -euo pipefail\n{text}\npwd > {where}"
        done = subprocess.run(  # noqa: S603
            ["bash", "-c", script],  # noqa: S607
            check=False, cwd=self.folder, env=self.environ, capture_output=True, text=True,
            timeout=120, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        self.output += done.stdout
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        self.folder = Path(where.read_text().strip())

    @contextmanager
    def serving(self) -> Iterator[None]:
        started = Started(self.folder, self.port)
        with (self.folder / "output.txt").open("wb") as output:
            process = subprocess.Popen(
                ["zato-lite", "serve"],  # noqa: S607
                cwd=self.folder, env=self.environ, stdout=output, stderr=output,
            )  # fmt: skip
            try:
                until(started.is_up, 60)
                yield
            finally:
                process.terminate()
                process.wait(30)


def wait_for_deployment(reader: Reader, block: Block) -> None:
    """Wait until the server has read a file, as a person does who looks at its log."""
    log = reader.folder / "output.txt"
    name = Path(block.file).name
    if not log.exists() or block.file.split("/")[0] not in {"services", "config"}:
        return
    until(lambda: name in log.read_text(errors="replace"), 20)


def follow(reader: Reader, blocks: list[Block]) -> None:
    for block in blocks:
        if block.file:
            block.write(reader.folder)
            wait_for_deployment(reader, block)
        elif block.kind == "bash":
            reader.run(block.text)


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path)


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: page.stem)
def test_a_guide_can_be_followed_word_by_word(reader: Reader, page: Path) -> None:
    blocks = blocks_of(page)
    reader.run("zato-lite init .")
    settings = [block for block in blocks if block.file.endswith(".toml")]
    for block in settings:  # read at the start of the server
        block.write(reader.folder)

    with reader.serving():
        follow(reader, [block for block in blocks if block not in settings])

    assert any(block.kind == "bash" for block in blocks)
    assert all(text in reader.output for text in texts_of(blocks))


def test_the_tutorial_can_be_followed_word_by_word(reader: Reader) -> None:
    blocks = blocks_of(DOCS / "tutorial.md")
    at = next(
        n for n, block in enumerate(blocks) if block.text.startswith("# in another terminal")
    )

    follow(reader, blocks[:at])
    with reader.serving():
        follow(reader, blocks[at + 1 :])

    assert texts_of(blocks)
    assert all(text in reader.output for text in texts_of(blocks))
