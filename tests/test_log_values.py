"""Whatever a service logs or raises becomes a line: valid JSON, in UTF-8."""

import json
import logging
import sys
from collections import OrderedDict
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zato_lite.log import JSONFormatter, PrettyFormatter, RunCapture, invocation_context
from zato_lite.log_values import MAX_ITEMS, MAX_TEXT


class BadText:
    def __repr__(self) -> str:
        raise ValueError("no text")

    __str__ = __repr__


class LeavingText:
    def __repr__(self) -> str:
        raise SystemExit(3)


class BadError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class BadMapping(dict[str, Any]):
    def items(self) -> Any:
        raise KeyError("gone")


class BadHash:
    def __str__(self) -> str:
        return "half \udcff"


def _circle() -> list[Any]:
    circle: list[Any] = [1]
    circle.append(circle)
    return circle


def _deep() -> dict[str, Any]:
    deep: dict[str, Any] = {}
    for _ in range(5_000):
        deep = {"in": deep}
    return deep


HOSTILE: dict[str, Any] = {
    "a lone surrogate": "name\udcff.csv",
    "a lone surrogate in a list": ["\ud800"],
    "a lone surrogate as a key": {"\udcff": 1},
    "bytes": b"\xff\x00",
    "a set": {1, 2},
    "a key that is a tuple": {(1, 2): 3},
    "a key whose text raises": {BadText(): 1},
    "a large integer": 2**70,
    "an integer too long for text": 10**5000,
    "not a number": float("nan"),
    "infinity": float("-inf"),
    "a complex number": 3j,
    "a moment": datetime(2026, 1, 1, tzinfo=UTC),
    "an object": object(),
    "a class": BadText,
    "a text that raises": BadText(),
    "a text that exits": LeavingText(),
    "a text with half a character": BadHash(),
    "a mapping that raises": BadMapping(a=1),
    "an ordered mapping": OrderedDict(a=BadText()),
    "a circle": _circle(),
    "5,000 levels": _deep(),
    "a long text": "x" * (MAX_TEXT + 5),
    "a million values": list(range(1_000_000)),
    "an exception": BadError(),
    "a generator": (n for n in range(3)),
}


def _record(message: Any = "event", *args: Any, **fields: Any) -> logging.LogRecord:
    record = logging.makeLogRecord({"name": "crm.sync", "levelname": "INFO", "args": args})
    record.msg = message
    vars(record).update(fields)
    return record


def _line(record: logging.LogRecord) -> dict[str, Any]:
    pretty = PrettyFormatter(coloured=False).format(record)
    text = JSONFormatter().format(record)
    assert pretty.encode()
    assert b"\n" not in text.encode()
    line: dict[str, Any] = json.loads(text)
    return line


@pytest.mark.parametrize("what", HOSTILE)
def test_any_field_becomes_a_line(what: str) -> None:
    line = _line(_record(wanted=HOSTILE[what]))

    assert line["event"] == "event"
    assert "wanted" in line
    assert len(json.dumps(line)) < 20 * MAX_TEXT


@pytest.mark.parametrize("what", HOSTILE)
def test_any_message_and_any_argument_becomes_a_line(what: str) -> None:
    value = HOSTILE[what]

    assert "event" in _line(_record(value))
    assert _line(_record("got %s", value))["event"].startswith("got ")
    assert "event" in _line(_record("%d of %r", value, value))


def test_nothing_of_a_text_with_half_a_character_is_lost() -> None:
    line = _line(_record("no such file: \udcff", path="a\udcffb"))

    assert line["event"] == "no such file: \\udcff"
    assert line["path"] == "a\\udcffb"


def test_arguments_that_do_not_fit_are_kept() -> None:
    line = _line(_record("%d apples", "many"))

    assert (line["event"], line["arguments"]) == ("%d apples", "('many',)")


def test_a_field_cannot_replace_the_event_or_its_level() -> None:
    line = _line(_record("event", event="mine", level="mine", time="mine"))

    assert (line["event"], line["level"]) == ("event", "info")
    assert (line["event_"], line["level_"], line["time_"]) == ("mine", "mine", "mine")


def test_long_texts_and_long_lists_say_how_much_is_left_out() -> None:
    line = _line(_record(text="x" * (MAX_TEXT + 5), values=list(range(MAX_ITEMS + 10))))

    assert line["text"].endswith("x… (5 more characters)")
    assert line["values"][-1] == "… 11 more"


def test_secrets_are_hidden_at_any_depth_and_in_any_text() -> None:
    fields = {"password": "x1", "rows": [{"api_key": "x2"}], "kept": b"secret=x4"}

    line = _line(_record(**fields))

    assert not [secret for secret in ("x1", "x2", "x4") if secret in json.dumps(line)]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("\udcff"),
        BadError(),
        KeyError(BadText()),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "\udcff"),
        ExceptionGroup("\udcff", [BadError(), ValueError(LeavingText())]),
        SyntaxError("\udcff", ("\udcff", 1, 1, "\udcff")),
    ],
)
def test_any_exception_becomes_a_line_with_its_traceback(error: Exception) -> None:
    record = _record("service failed")
    try:
        raise error  # noqa: TRY301
    except Exception:  # noqa: BLE001 - any
        record.exc_info = sys.exc_info()

    line = _line(record)

    assert line["event"] == "service failed"
    assert type(error).__name__ in line["exception"]


def test_a_stack_is_in_the_line() -> None:
    record = _record()
    record.stack_info = "Stack (most recent call last):\n  here \udcff"

    assert _line(record)["stack"].endswith("here \\udcff")


def test_a_sink_that_fails_does_not_fail_the_service(monkeypatch: pytest.MonkeyPatch) -> None:
    class Context:
        cid = "c1"

        @staticmethod
        def sink(record: logging.LogRecord) -> None:
            raise RuntimeError("full")

    monkeypatch.setattr(logging, "raiseExceptions", False)
    token = invocation_context.set(Context())
    try:
        RunCapture().handle(_record())
    finally:
        invocation_context.reset(token)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.binary() | st.text(
            st.characters(categories=("L", "Cs", "Cc"))
        ),
        lambda inner: st.lists(inner)
        | st.dictionaries(st.text(st.characters(categories=("Cs", "L"))) | st.integers(), inner)
        | st.tuples(inner),
    )
)  # fmt: skip
def test_any_value_at_all_becomes_a_line(value: Any) -> None:
    assert "wanted" in _line(_record(value, wanted=value))
