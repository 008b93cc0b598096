import json
import logging
import sys
from collections.abc import Iterator

import pytest

from zato_lite.log import (
    JSONFormatter,
    PrettyFormatter,
    Repeats,
    RunCapture,
    Settings,
    Sink,
    add_context,
    invocation_context,
    set_up,
)


class Context:
    def __init__(self, cid: str, sink: Sink | None = None) -> None:
        self.cid, self.sink = cid, sink


@pytest.fixture
def context() -> Iterator[list[logging.LogRecord]]:
    lines: list[logging.LogRecord] = []
    token = invocation_context.set(Context("c1", lines.append))
    yield lines
    invocation_context.reset(token)


def _record(**fields: object) -> logging.LogRecord:
    return logging.getLogger("crm.sync").makeRecord(
        "crm.sync", logging.INFO, "file", 1, "got %s rows", (3,), None, extra=fields
    )


def test_a_json_line_has_the_event_and_its_fields(context: list[logging.LogRecord]) -> None:
    record = _record(job="nightly")
    add_context(record)

    line = json.loads(JSONFormatter().format(record))

    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info", "logger": "crm.sync", "event": "got 3 rows", "cid": "c1", "job": "nightly"
    }  # fmt: skip


def test_a_record_outside_of_an_invocation_has_no_cid() -> None:
    record = _record()
    add_context(record)

    assert "cid" not in json.loads(JSONFormatter().format(record))


@pytest.mark.parametrize("coloured", [True, False])
def test_a_pretty_line_has_time_level_event_and_fields(coloured: bool) -> None:
    record = _record(job="nightly", cid="c1")

    line = PrettyFormatter(coloured).format(record)

    assert line.endswith("crm.sync: got 3 rows job=nightly [c1]")
    assert ("\033[" in line) is coloured


def test_a_traceback_goes_with_its_line() -> None:
    record = _record()
    try:
        raise ValueError("no")  # noqa: TRY301
    except ValueError:
        record.exc_info = sys.exc_info()

    assert "ValueError: no" in PrettyFormatter(coloured=False).format(record)
    assert "ValueError: no" in json.loads(JSONFormatter().format(record))["exception"]


def test_records_of_a_run_reach_only_its_sink(context: list[logging.LogRecord]) -> None:
    record = _record()

    RunCapture().handle(record)
    token = invocation_context.set(None)
    RunCapture().handle(_record())
    invocation_context.reset(token)

    assert context == [record]


@pytest.mark.parametrize(("form", "kind"), [("json", JSONFormatter), ("pretty", PrettyFormatter)])
def test_the_log_is_set_up_as_asked(form: str, kind: type) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    try:
        set_up(Settings("debug", form))  # type: ignore[arg-type]

        assert isinstance(root.handlers[0].formatter, kind)
        assert root.level == logging.DEBUG
    finally:
        root.handlers[:], root.level = before[0], before[1]


def test_a_repeated_problem_is_logged_ever_more_seldom_until_it_is_over() -> None:
    trouble = Repeats()

    told = [trouble.again("full") for _ in range(9)]
    other = trouble.again("locked")

    assert [place for place, is_told in enumerate(told, 1) if is_told] == [1, 2, 4, 8]
    assert other
    assert (trouble.words, trouble.over(), trouble.count) == ("locked", 10, 0)
    assert trouble.again("full")


def test_a_repeated_problem_with_changing_messages_is_logged_seldom_too() -> None:
    trouble = Repeats()

    told = [trouble.again(f"at {number}") for number in range(1_000)]

    assert sum(told) < 20


def test_a_pretty_line_holds_no_control_characters() -> None:
    record = logging.makeLogRecord(
        {"msg": "name \x1b[31m\x07\u202e\r end", "name": "x", "user": "a\x1b]0;title\x07"}
    )

    line = PrettyFormatter(coloured=False).format(record)

    assert line.isprintable()
    assert "\\x1b[31m\\x07\\u202e\\r end user=a\\x1b]0;title" in line
