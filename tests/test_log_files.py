"""Lines kept in files, and ``zato-lite log``, which finds those of a cid."""

import json
import logging
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pytest
from click.testing import CliRunner

from zato_lite.cli.client import url_of
from zato_lite.cli.main import cli
from zato_lite.config import Server
from zato_lite.errors import ConfigError
from zato_lite.log import JSONFormatter, PrettyFormatter
from zato_lite.log_files import keep_lines, kept_files, lines_with
from zato_lite.log_values import is_framework, traceback_of
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.registry import Registry


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    root = logging.getLogger()
    before, level = [*root.handlers], root.level
    root.setLevel(logging.INFO)
    yield
    keep_lines(Path(), 0)
    root.handlers[:] = before
    root.setLevel(level)


def write(message: str, cid: str) -> None:
    logging.getLogger("crm").info(message, extra={"cid": cid})


def test_lines_are_kept_in_a_private_file(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "log"
    keep_lines(folder, 1)
    write("found", "c1")
    write("other", "c2")

    (path,) = kept_files(folder)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert [line["event"] for line in lines_with("c1", path.read_text().splitlines())] == ["found"]


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for process in range(8):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        keep_lines(tmp_path, 0.02)
        for _ in range(100):
            write("x" * 100, "c")

    assert sum(path.stat().st_size for path in kept_files(tmp_path)) <= 20_000
    assert "7.jsonl" in {path.name for path in kept_files(tmp_path)}


def test_workers_share_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "old.jsonl").write_text("x" * 30_000)
    for process in range(8):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        keep_lines(tmp_path, 0.04, processes=8)
        for _ in range(100):
            write("x" * 100, "c")

    files = kept_files(tmp_path)
    assert sum(path.stat().st_size for path in files) <= 40_000
    assert {f"{process}.jsonl" for process in range(8)} <= {path.name for path in files}


def test_a_file_that_another_process_deletes_meanwhile_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "1.jsonl").touch()
    found = [tmp_path / "gone.jsonl", *tmp_path.glob("*")]
    monkeypatch.setattr(Path, "glob", lambda *_: found)

    assert kept_files(tmp_path) == [tmp_path / "1.jsonl"]
    keep_lines(tmp_path, 1)
    assert not caplog.records


def test_a_field_of_a_service_is_not_taken_for_the_line() -> None:
    fields = {"_zato_lite_line": '{"event": "forged"}'}
    record = logging.LogRecord("x", 20, "", 0, "m", (), None)
    vars(record).update(fields)
    first, second = (json.loads(JSONFormatter().format(record)) for _ in range(2))

    assert first["event"] == second["event"] == "m"


def test_the_command_escapes_control_characters(tmp_path: Path) -> None:
    line = {"event": "\x1b[2J", "cid": "c1", "path": "/\x1b]0;t\x07", "exception": "a\nb\x9b"}

    done = CliRunner().invoke(
        cli, ["log", "c1", "-", "--project", str(tmp_path)], input=json.dumps(line)
    )

    assert all(letter.isprintable() or letter == "\n" for letter in done.output)
    assert "\\x1b[2J path=/\\x1b]0;t\\x07\na\nb" in done.output


def test_a_folder_that_cannot_be_written_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()

    keep_lines(tmp_path / "file" / "log", 1)

    assert [record.getMessage() for record in caplog.records] == ["log lines not kept"]


def test_no_file_is_kept_if_none_is_wanted(tmp_path: Path) -> None:
    keep_lines(tmp_path / "log", 0)

    assert not (tmp_path / "log").exists()


def test_the_command_shows_the_lines_of_a_cid_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "log"
    folder.mkdir(parents=True)
    lines = [
        {
            "time": "2027-01-01T00:00:02",
            "level": "error",
            "logger": "b",
            "event": "second",
            "cid": "c1",
            "service": "crm",
            "exception": "Traceback\nOSError: x",
        },
        {
            "time": "2027-01-01T00:00:01",
            "level": "info",
            "logger": "a",
            "event": "first",
            "cid": "c1",
        },
        {"time": "2027-01-01T00:00:01", "event": "c1 in another field", "cid": "c10"},
    ]
    (folder / "1.jsonl").write_text("not json c1\n" + json.dumps(lines[0]) + "\n")
    (folder / "2.jsonl").write_text("\n".join(map(json.dumps, lines[1:])))

    done = CliRunner().invoke(cli, ["log", "c1", "--project", str(tmp_path)])

    assert done.exit_code == 0
    assert done.output == (
        "2027-01-01T00:00:01 INFO    a: first\n"
        "2027-01-01T00:00:02 ERROR   b: second service=crm\nTraceback\nOSError: x\n"
    )


def test_the_command_reads_standard_input_and_says_if_there_is_none(tmp_path: Path) -> None:
    text = json.dumps({"time": "1", "level": "info", "event": "e", "cid": "c1"})
    arguments = ["--project", str(tmp_path)]

    found = CliRunner().invoke(cli, ["log", "c1", "-", "--json", *arguments], input=text)
    none = CliRunner().invoke(cli, ["log", "c2", *arguments])

    assert json.loads(found.output)["event"] == "e"
    assert none.exit_code == 1
    assert f"no line with cid c2 in {tmp_path}/data/log" in none.output


class Failing(Service):
    name = "failing"

    async def handle(self) -> None:
        _ = self.request.input.nothing


class Waiting(BlockingService):
    name = "waiting"

    def handle(self) -> None:
        self.invoke("failing")


async def failed(
    service: str = "failing",
) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    registry = Registry()
    for cls in (Failing, Waiting):
        registry.add(cls)
    error = (await Invoker(registry).run(Invocation(service))).error
    assert error is not None
    return type(error), error, error.__traceback__


async def test_tracebacks_leave_out_frames_of_the_framework() -> None:
    record = logging.LogRecord("x", 40, "", 0, "m", (), await failed())
    own = json.loads(JSONFormatter().format(record))["exception"]
    other = logging.LogRecord("x", 40, "", 0, "m", (), await failed())
    full = json.loads(JSONFormatter(is_full=True).format(other))["exception"]

    files = [Path(line.split('"')[1]).name for line in own.splitlines() if 'File "' in line]
    assert files == ["test_log_files.py", "attribute_dict.py"]  # and the frame that raised it
    assert "strategies.py" in full


async def test_tracebacks_leave_out_the_way_between_threads() -> None:
    record = logging.LogRecord("x", 40, "", 0, "m", (), await failed("waiting"))
    own = json.loads(JSONFormatter().format(record))["exception"]
    other = logging.LogRecord("x", 40, "", 0, "m", (), await failed("waiting"))
    full = json.loads(JSONFormatter(is_full=True).format(other))["exception"]

    files = [Path(line.split('"')[1]).name for line in own.splitlines() if 'File "' in line]
    assert files == ["test_log_files.py", "test_log_files.py", "attribute_dict.py"]
    assert "_base.py" in full


async def test_pretty_tracebacks_leave_them_out_too() -> None:
    record = logging.LogRecord("x", 40, "", 0, "m", (), await failed())

    assert "strategies.py" not in PrettyFormatter(False).format(record)
    assert "strategies.py" in PrettyFormatter(False, is_full=True).format(record)


async def test_kept_tracebacks_are_full_if_the_log_has_them_so(tmp_path: Path) -> None:
    for is_full in (False, True):
        keep_lines(tmp_path, 1, is_full=is_full)
        logging.getLogger("crm").error("failed", exc_info=await failed(), extra={"cid": "c1"})

    own, full = lines_with("c1", kept_files(tmp_path)[0].read_text().splitlines())
    assert "strategies.py" not in own["exception"]
    assert "strategies.py" in full["exception"]


def test_a_traceback_of_the_framework_alone_is_complete() -> None:
    with pytest.raises(ConfigError) as caught:
        url_of(Server(port=0))
    error = caught.value
    trace = error.__traceback__
    while trace is not None and not is_framework(trace.tb_frame.f_code.co_filename):
        trace = trace.tb_next

    text = traceback_of(type(error), error, trace)

    assert text.count('File "') == 1
    assert "client.py" in text


def test_a_traceback_has_any_number_of_causes() -> None:
    error = ValueError("the first")
    for number in range(2 * sys.getrecursionlimit()):
        following = ValueError(str(number))
        following.__context__, error = error, following

    text = traceback_of(type(error), error, None)

    assert text.startswith("ValueError: the first\n\nDuring handling of the above exception")
