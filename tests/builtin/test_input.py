import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from zato_lite.builtin import input as parsers
from zato_lite.builtin.input import Input, JobRef, Moment, Name, Page, RunRef, Zone
from zato_lite.errors import BadInputError
from zato_lite.service.typed import schema_of

pytestmark = pytest.mark.usefixtures("without_collector")


class Example(Input, forbid_unknown_fields=True):
    """Each kind of field."""

    id: Annotated[int, Meta(ge=1, le=9)]
    name: Name
    page: Page = 1
    share: Annotated[float, Meta(ge=0, le=1)] = 0.5
    is_active: bool | None = None
    policy: Literal["skip", "run_all"] = "skip"
    note: Annotated[str, Meta(max_length=5)] = ""
    until: Moment | None = None
    timezone: Zone | None = None
    ids: Annotated[list[Annotated[int, Meta(ge=1, le=9)]], Meta(max_length=3)] = []  # noqa: RUF012 - msgspec copies it


def wrong(payload: Any, kind: type[Input] = Example) -> list[tuple[str, str]]:
    with pytest.raises(BadInputError) as caught:
        kind.from_payload(payload)
    return [(error.field, error.message) for error in caught.value.errors]


def test_every_kind_of_field_is_read_from_text_as_well() -> None:
    sent = {
        "id": "7", "name": " a ", "page": 2.0, "share": "0.25", "is_active": "Yes",
        "policy": "run_all", "note": "x", "until": "1970-01-01 00:00:01",
        "timezone": "Europe/Warsaw", "ids": ["1", 2],
    }  # fmt: skip

    assert Example.from_payload(sent) == Example(
        id=7, name="a", page=2, share=0.25, is_active=True, policy="run_all", note="x",
        until=1_000_000, timezone="Europe/Warsaw", ids=[1, 2],
    )  # fmt: skip


def test_empty_null_and_zato_none_count_as_not_sent() -> None:
    sent = {"id": 1, "name": "a", "page": "", "share": None, "note": "ZATO_NONE", "pgae": ""}

    assert Example.from_payload(sent) == Example(id=1, name="a")


def test_all_wrong_fields_are_reported_together() -> None:
    assert wrong({"id": "x", "pgae": 1, "ids": [1, 0]}) == [
        ("id", "id: 'x' is not allowed; a whole number from 1 to 9"),
        ("name", "Missing required input element: name"),
        ("ids", "ids: [1, 0] is not allowed; a whole number from 1 to 9"),
        ("pgae", "'pgae' is not a known field; did you mean 'page'?"),
    ]


def test_a_payload_that_is_not_an_object_is_refused() -> None:
    for payload in ([1], "text", 7):
        with pytest.raises(BadInputError, match="a JSON object is expected, not"):
            Example.from_payload(payload)


@pytest.mark.parametrize("payload", ["", None, b""], ids=["text", "null", "bytes"])
def test_no_payload_is_an_empty_object(payload: Any) -> None:
    assert [field for field, _ in wrong(payload)] == ["id", "name"]


def test_another_name_of_a_field_is_accepted_and_takes_precedence() -> None:
    assert JobRef.from_payload({"id": 1, "job_id": "2"}).id == 2
    assert JobRef.from_payload({"id": 1, "job_id": ""}).id == 1
    assert wrong({"job_id": 0}, JobRef) == [
        ("job_id", f"job_id: 0 is not allowed; a whole number from 1 to {2**63 - 1}")
    ]
    assert [field for field, _ in wrong({}, RunRef)] == ["id", "current_run"]


def test_an_input_ignores_unknown_fields_unless_it_forbids_them() -> None:
    assert JobRef.from_payload({"id": 1, "other": 2}) == JobRef(id=1)


def test_the_number_of_errors_and_of_hints_is_bounded() -> None:
    sent = {"id": 1, "name": "a", **{f"pagee{n}": n for n in range(1_000)}}

    errors = wrong(sent)

    assert len(errors) == parsers.MAX_ERRORS
    assert sum("did you mean" in message for _, message in errors) == parsers.MAX_HINTS


@pytest.mark.parametrize(
    "sent",
    [
        {f"pagee{n}": n for n in range(100_000)},
        {f"pagee{n}": None for n in range(100_000)},
        {"x" * 5_000_000: 1},
    ],
    ids=["many", "many unsent", "long"],
)
def test_an_input_of_many_unknown_fields_is_cheap(sent: dict[str, Any]) -> None:
    began = time.process_time()
    wrong(sent)

    assert time.process_time() - began < 0.5


def test_the_schema_describes_how_a_field_is_best_sent() -> None:
    schema = schema_of(Example)

    assert schema["required"] == ["id", "name"]
    assert schema["properties"]["id"] == {"type": "integer", "minimum": 1, "maximum": 9}
    assert schema["properties"]["name"] == {"type": "string", "minLength": 1, "maxLength": 200}
    assert schema["properties"]["policy"] == {"enum": ["skip", "run_all"]}
    assert schema["properties"]["ids"]["items"]["type"] == "integer"


REFUSED: dict[str, tuple[Callable[[Any], Any], list[Any]]] = {
    "whole_number": (
        parsers.whole_number(0, 9).parse,
        [-1, 10, 1.5, True, "x", "", [], None, 10**400, float("nan"), float("inf"), "9" * 5000],
    ),
    "number": (
        parsers.number(0, 9).parse,
        [-1, "nan", "1e400", float("inf"), False, {}, 10**400],
    ),
    "flag": (parsers.parse_flag, ["maybe", 2, None, []]),
    "name": (
        parsers.parse_name,
        ["", " ", 7, "a\0b", "a\u202eb", "\ud800", "x" * 201],
    ),
    "text": (parsers.text(3).parse, ["abcd", 7, "\ud800", "a\0b", "\0"]),
    "zone": (
        parsers.parse_zone,
        ["Mars/Olympus", "../etc/passwd", "", 7, "Europe", "a\0"],
    ),
    "instant": (
        parsers.parse_instant,
        ["yesterday", 7, "2027-13-01", "", "9999999999999", "\ud800"],
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_values_that_are_not_allowed_are_refused(kind: str) -> None:
    parse, values = REFUSED[kind]

    for value in values:
        with pytest.raises((ValueError, BadInputError)):
            print(repr(parse(value)))  # noqa: T201 - says which one was not


def test_a_naive_date_is_read_in_the_time_zone_that_is_given() -> None:
    assert parsers.read_local("Europe/Warsaw", at="1970-01-01T01:00:01") == [1_000_000]
    with pytest.raises(BadInputError, match=r"first: 7 is not allowed.*last: `x`"):
        parsers.read_local(None, first=7, last="x")
