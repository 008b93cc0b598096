import pickle
import pickletools
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from zato_lite.builtin.imports import apscheduler, pickles
from zato_lite.builtin.imports.entry import NoEquivalentError, Options
from zato_lite.wire import encode


def _base64(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "value",
    [
        timedelta(days=3, seconds=7, microseconds=5),
        date(2027, 1, 15),
        datetime(2027, 1, 15, 8, 0, 0, 5, tzinfo=UTC),
        datetime(2027, 1, 15, 8, tzinfo=ZoneInfo("Europe/Warsaw")),
        datetime(2027, 10, 31, 2, 30, tzinfo=ZoneInfo("Europe/Warsaw"), fold=1),
        datetime(2027, 1, 15, 8),  # noqa: DTZ001 - as it may be pickled
        timezone(timedelta(hours=-3)),
        ZoneInfo("America/New_York"),
        [1, "two", 3.5, None, True, (False, {"a": [timedelta(1)]})],
        {"x": b"bytes", "y": 2**70, "z": -1},
    ],
    ids=str,
)
def test_values_are_read_as_pickle_reads_them(value: Any, protocol: int) -> None:
    text = _base64(pickle.dumps(value, protocol))
    expected = pickle.loads(pickle.dumps(value, protocol))  # noqa: S301 - our own

    try:
        found = pickles.load(text)
    except NoEquivalentError:
        assert protocol == 2  # bytes need a function of its own there
        return

    assert found == expected
    assert getattr(found, "fold", 0) == getattr(expected, "fold", 0)


class Calls:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def _hostile(trace: Path) -> dict[str, bytes]:
    command = f"touch {trace}"
    return {
        "os.system": f"cposix\nsystem\n(V{command}\ntR.".encode(),
        "stack_global": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c" + bytes([len(command)])
        + command.encode() + b"\x85R.",
        "eval": pickle.dumps(Calls(eval, f"open({str(trace)!r}, 'w')")),
        "getattr": pickle.dumps(Calls(getattr, datetime, "now")),
        "getattr of a module": b"cbuiltins\ngetattr\n(cdatetime\ndatetime\nV__class__\ntR.",
        "dotted": b"\x80\x04\x8c\x08datetime\x8c\x12datetime.__class__\x93.",
        "inst": f"(V{command}\nios\nsystem\n.".encode(),
        "obj": f"(cos\nsystem\nV{command}\no.".encode(),
        "newobj_ex": b"\x80\x04cdatetime\ndate\n)}\x92.",
        "ext": b"\x80\x02\x82\x01.",
        "persid": b"Pabc\n.",
        "binpersid": b"Vabc\nQ.",
        "build on a class": b"\x80\x04cdatetime\ntimedelta\n}Vx\nK\x01sb.",
        "build on a function": b"\x80\x04cbuiltins\ngetattr\nN}V__defaults__\nNs\x86b.",
        "call of a value": b"\x80\x04K\x01)R.",
        "call of a field": b"\x80\x04capscheduler.triggers.cron.fields\nBaseField\n)R.",
        "unknown class": pickle.dumps(Path("/etc/passwd")),
        "apscheduler's own": b"\x80\x04capscheduler.util\nref_to_obj\nVos:system\n\x85R.",
        "a field's function": b"\x80\x04capscheduler.triggers.cron.fields\nre\n)\x81Vx\nb.",
        "no stop": b"\x80\x04K\x01",
        "empty stack": b"\x80\x04.",
        "two values": b"\x80\x04K\x01K\x02.",
        "mark as value": b"\x80\x04(.",
        "missing memo": b"\x80\x04h\x05.",
        "truncated": b"\x80\x04\x8c\xffabc",
        "long number": b"\x80\x04I" + b"9" * 10_000 + b"\n.",
        "wrong date": b"\x80\x04cdatetime\ndate\nM\x0f\x27K\x63K\x63\x87R.",
        "wrong zone": b"\x80\x04czoneinfo\nZoneInfo\nV../../etc/passwd\n\x85R.",
        "zone that is a list": b"\x80\x04czoneinfo\nZoneInfo\n]\x85R.",
    }  # fmt: skip


@pytest.mark.parametrize("name", _hostile(Path("x")))
def test_hostile_pickles_are_refused_and_nothing_is_executed(name: str, tmp_path: Path) -> None:
    trace = tmp_path / "executed"

    with pytest.raises(NoEquivalentError):
        pickles.load(_base64(_hostile(trace)[name]))

    assert not trace.exists()


@pytest.mark.parametrize("opcode", sorted(each.name for each in pickletools.opcodes))
def test_each_operation_alone_is_harmless(opcode: str) -> None:
    code = next(each.code for each in pickletools.opcodes if each.name == opcode)
    for before in (b"", b"K\x01", b"(K\x01", b"]K\x01", b"}K\x01K\x02", b"cos\nsystem\n)"):
        data = b"\x80\x05" + before + code.encode("latin-1") + b"\x01\x00\x00\x00x\n."
        try:
            pickles.load(_base64(data))
        except NoEquivalentError:
            continue


def test_text_that_is_not_a_pickle_is_refused() -> None:
    for text in ("", "!", "AAAA", "gAWV", "x" * 1_000_000):
        with pytest.raises(NoEquivalentError):
            pickles.load(text)


def test_lists_that_hold_each_other_a_million_times_are_not_written_out() -> None:
    data = b"\x80\x04K\x01q\x00"
    for place in range(60):
        data += b"h" + bytes([place]) + b"\x86q" + bytes([place + 1])
    job = {
        "id": "x",
        "func": "a:b",
        "trigger": {"type": "interval", "hours": 1},
        "args": [{"__apscheduler_pickle__": _base64(data + b".")}],
    }

    [found] = apscheduler.read(encode([job]).decode(), Options())

    assert found.fields is None
    assert "too many values" in found.differences[0]


def test_wide_lists_that_hold_each_other_are_not_written_out() -> None:
    data = b"\x80\x04(K\x01q\x00"
    for place in range(3):
        data += b"(" + (b"h" + bytes([place])) * 3_000 + b"tq" + bytes([place + 1])
    job = {
        "id": "x",
        "func": "a:b",
        "trigger": {"type": "interval", "hours": 1},
        "args": [{"__apscheduler_pickle__": _base64(data + b"t.")}],
    }

    [found] = apscheduler.read(encode([job]).decode(), Options())

    assert found.fields is None
    assert "too many values" in found.differences[0]


def _shared(depth: int, opening: bytes, closing: bytes) -> bytes:
    """Return operations of a value in which each level holds the one below twice."""
    levels = (opening + (b"h%ch%c" % (level, level)) + closing + b"\x94" for level in range(depth))
    return b"\x80\x04)\x94" + b"".join(levels)


LISTS = _shared(40, b"](", b"e")
TUPLES = _shared(40, b"", b"\x86")


@pytest.mark.parametrize(
    "data",
    [
        LISTS + b".",
        TUPLES + b".",
        LISTS + b"\x8c\x01x\x93.",
        b"\x80\x04}(" + TUPLES[2:] + b"K\x01u.",
        LISTS[:2] + b"cpytz\n_p\n" + LISTS[2:] + b"\x85R.",
    ],
    ids=["lists", "tuples", "module", "key", "zone"],
)
def test_values_that_share_their_parts_do_not_grow(data: bytes) -> None:
    job = {"id": {"__apscheduler_pickle__": _base64(data)}, "func": "f", "trigger": "interval"}

    with pytest.raises(NoEquivalentError):
        pickles.load(_base64(data))
    [entry] = apscheduler.read(encode({"jobs": [job]}).decode(), Options())

    assert entry.fields is None
