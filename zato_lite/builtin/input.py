"""Typed input of the built-in services, lenient as Zato's programs need it.

An ``Input`` struct declares its fields with msgspec's types and limits. ``from_payload`` also
accepts numbers and booleans as text and other names of a field, takes ``""``, None and
``ZATO_NONE`` as not sent, and reports all wrong fields together.
"""

import contextlib
import difflib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import takewhile
from typing import Annotated, Any, Literal, NamedTuple, Self, get_args, get_origin

import msgspec
from msgspec import Meta

from zato_lite.errors import BadInputError, FieldError
from zato_lite.service.typed import CustomInput
from zato_lite.timetable.job import SECOND, Instant
from zato_lite.timetable.zone import check_zone, parse_moment

MAX_ID = 2**63 - 1
MAX_NAME_LENGTH = 200
MAX_ERRORS = 100
"""Wrong fields that one request reports at most."""
MAX_HINTS = 20
"""«did you mean» that one request gets at most: each compares a name with all known ones."""

_MAX_SHOWN = 200
_MAX_HINTED_LENGTH = 100
_DAY = 86_400 * SECOND
_FIRST_MOMENT = parse_moment("0001-01-01", None) + _DAY
_LAST_MOMENT = parse_moment("9999-12-31", None) - _DAY
"""The outermost instants that have a date in every zone."""
_UNREADABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, direction, surrogate, separator

Parse = Callable[[Any], Any]
"""Returns the value of what was sent; raises ValueError with what is allowed, or BadInputError."""


@dataclass(frozen=True, eq=False)  # hashed by identity: annotations in unions must be hashable
class ParsedBy:
    """Annotation: the function that parses a field, and its JSON Schema."""

    parse: Parse
    schema: Mapping[str, Any] = field(default_factory=dict)


class Also(NamedTuple):
    """Annotation: another name under which a field may be sent; it takes precedence."""

    name: str


class _Ignored:
    """Annotation: a field that Zato's programs send and nothing reads."""


Ignored = Annotated[Any, _Ignored()]


class Field(NamedTuple):
    """A field of an input as ``collect`` needs it."""

    name: str
    other_name: str | None
    parse: Parse
    schema: Mapping[str, Any]
    is_required: bool


class Input(CustomInput, kw_only=True):
    """Base of what the built-in services accept.

    Fields that are not declared are ignored; with ``forbid_unknown_fields=True`` they are
    refused, except for ``cluster_id``.
    """

    @classmethod
    def from_payload(cls, payload: Any) -> Self:
        """Return the input that a payload holds.

        Raises:
            BadInputError: lists every field that is missing, wrong or unknown.
        """
        errors: list[FieldError] = []
        values = cls.collect(payload, errors)
        cls.check(values, errors)
        if errors:
            raise BadInputError.of(errors[:MAX_ERRORS])
        return cls(**values)

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        """Add what is wrong with the values together; subclasses override it."""

    @classmethod
    def collect(cls, payload: Any, errors: list[FieldError]) -> dict[str, Any]:
        """Return the values of the fields that were sent and are right; add the other errors.

        The work grows with the number of declared fields, and is one test for each other field.
        """
        sent = as_mapping(payload)
        values: dict[str, Any] = {}
        for name, other_name, parse, _, is_required in fields_of(cls):
            place = name
            value = sent.get(name)
            if other_name is not None and not is_unsent(other := sent.get(other_name)):
                place, value = other_name, other
            if is_unsent(value):
                if is_required:
                    errors.append(missing(place))
                continue
            parsed = parse_field(place, value, parse, errors)
            if parsed is not None:
                values[name] = parsed
        if cls.__struct_config__.forbid_unknown_fields:
            errors += _unknown_fields(cls, sent)
        return values

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema of the preferred form of the input."""
        fields = fields_of(cls)
        return {
            "type": "object",
            "properties": {each.name: dict(each.schema) for each in fields},
            "required": [each.name for each in fields if each.is_required],
        }


@cache
def fields_of(cls: type[Input]) -> tuple[Field, ...]:
    """Return the fields of an input class."""
    return tuple(
        _field(each.encode_name, each.type, is_required=each.required)
        for each in msgspec.structs.fields(cls)
        if each.type != Ignored
    )


@cache
def known_names(cls: type[Input]) -> frozenset[str]:
    """Return all names of fields that an input class reads or ignores."""
    names = {"cluster_id", *(each.encode_name for each in msgspec.structs.fields(cls))}
    return frozenset(
        {"cluster_id"} | names | {each.other_name for each in fields_of(cls) if each.other_name}
    )


def _unknown_fields(cls: type[Input], sent: Mapping[str, Any]) -> Iterator[FieldError]:
    known = known_names(cls)
    count = 0
    for name, value in sent.items():
        if value is None or name in known or is_unsent(value):
            continue
        hint = ""
        if count < MAX_HINTS and len(str(name)) <= _MAX_HINTED_LENGTH:
            nearest = difflib.get_close_matches(str(name), sorted(known), 1)
            hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        yield FieldError(name, value, f"{shown(name)} is not a known field{hint}")
        count += 1
        if count >= MAX_ERRORS:
            return


def parse_field(name: str, value: Any, parse: Parse, errors: list[FieldError]) -> Any:
    """Return the value of a field that was sent; None where it is wrong, and add the error."""
    try:
        return parse(value)
    except BadInputError as error:
        # The value is left out: the parser decides which part of it may be shown.
        errors += error.errors or (FieldError(name, None, f"{name}: {error}"),)
    except (ValueError, TypeError, OverflowError) as error:
        errors.append(wrong(name, value, str(error)))
    return None


def as_mapping(payload: Any) -> Mapping[str, Any]:
    """Return the fields of a payload; nothing at all counts as an empty object."""
    if isinstance(payload, Mapping):
        return payload
    if payload in ("", None, b""):
        return {}
    raise BadInputError(f"a JSON object is expected, not {shown(payload)}")


def missing(name: str) -> FieldError:
    """Return the error of a required field that was not sent."""
    return FieldError(name, None, f"Missing required input element: {name}")


def wrong(name: str, value: Any, allowed: str) -> FieldError:
    """Return the error of a field with a value that is not allowed."""
    return FieldError(name, value, f"{name}: {shown(value)} is not allowed; {allowed}")


def is_unsent(value: Any) -> bool:
    """Return True if Zato treats the value as one that was not sent."""
    return value is None or (isinstance(value, str) and value in ("", "ZATO_NONE"))


def shown(value: Any) -> str:
    """Return the value as an error message shows it."""
    begin = _beginning(value, [_MAX_SHOWN])
    try:
        text = ascii(begin) if isinstance(begin, str) and not begin.isprintable() else repr(begin)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list in itself
        text = f"a {type(value).__name__}"
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def _beginning(value: Any, left: list[int]) -> Any:
    """Return a value whose text begins as that of ``value`` does; it has few parts.

    Each part has a letter at least: as many parts as there is room for letters are enough.
    """
    left[0] -= 1
    if isinstance(value, str | bytes):
        return value[: _MAX_SHOWN + 1]
    if type(value) is list:
        return [_beginning(each, left) for each in takewhile(lambda _: left[0] >= 0, value)]
    if type(value) is dict:
        parts = takewhile(lambda _: left[0] >= 0, value.items())
        return {_beginning(key, left): _beginning(each, left) for key, each in parts}
    return value


# From a field's type to its parser


def _field(name: str, declared: Any, *, is_required: bool) -> Field:
    annotations: list[Any] = []
    while True:  # X | None and Annotated[X, …] in any order
        arms = [arm for arm in get_args(declared) if arm is not type(None)]
        if get_origin(declared) is Annotated:
            declared, *more = get_args(declared)
            annotations += more
        elif type(None) in get_args(declared) and len(arms) == 1:
            declared = arms[0]
        else:
            break
    limits = next((each for each in annotations if isinstance(each, Meta)), Meta())
    parser = next((each for each in annotations if isinstance(each, ParsedBy)), None)
    other = next((each.name for each in annotations if isinstance(each, Also)), None)
    parser = parser or _parser(declared, limits)
    schema = {**parser.schema, **(limits.extra_json_schema or {})}
    if limits.description:
        schema["description"] = limits.description
    return Field(name, other, parser.parse, schema, is_required)


def _parser(declared: Any, limits: Meta) -> ParsedBy:
    origin = get_origin(declared)
    if origin is Literal:
        return one_of(get_args(declared))
    if origin is list:
        item = _field("", get_args(declared)[0], is_required=True)
        return list_of(ParsedBy(item.parse, item.schema), limits.max_length)
    parsers: dict[Any, ParsedBy] = {
        int: whole_number(_limit(limits.ge, -(2**63)), _limit(limits.le, MAX_ID)),
        float: number(_limit(limits.ge, float("-inf")), _limit(limits.le, float("inf"))),
        bool: ParsedBy(parse_flag, {"type": "boolean"}),
        str: text(limits.max_length or 1_000),
        Any: ParsedBy(as_sent),
    }
    if declared not in parsers:
        raise TypeError(f"no parser for the type {declared!r}; annotate it with ParsedBy")
    return parsers[declared]


def _limit(limit: float | None, default: Any) -> Any:
    return default if limit is None else limit


def as_sent(value: Any) -> Any:
    """Return the value unchanged."""
    return value


def whole_number(minimum: int, maximum: int) -> ParsedBy:
    """Return the parser of whole numbers, also those written as text."""

    def parse(value: Any) -> int:
        found = minimum - 1
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            with contextlib.suppress(ValueError, OverflowError):
                converted = int(value)
                found = converted if converted == float(value) else found
        if not minimum <= found <= maximum:
            raise ValueError(f"a whole number from {minimum} to {maximum}")
        return found

    return ParsedBy(parse, {"type": "integer", "minimum": minimum, "maximum": maximum})


def number(minimum: float, maximum: float) -> ParsedBy:
    """Return the parser of numbers, also those written as text; never NaN or infinite."""

    def parse(value: Any) -> float:
        found = float("nan")
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            with contextlib.suppress(ValueError, OverflowError):
                found = float(value)
        if not minimum <= found <= maximum:
            raise ValueError(f"a number from {minimum} to {maximum}")
        return found

    return ParsedBy(parse, {"type": "number", "minimum": minimum, "maximum": maximum})


def one_of(allowed: tuple[str, ...]) -> ParsedBy:
    """Return the parser of one of some texts."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return value

    return ParsedBy(parse, {"enum": [*allowed]})


def text(maximum: int) -> ParsedBy:
    """Return the parser of texts up to a length that UTF-8 can encode."""

    def parse(value: Any) -> str:
        if not isinstance(value, str) or len(value) > maximum:
            raise ValueError(f"a text of at most {maximum} characters")
        return storable(value)

    return ParsedBy(parse, {"type": "string", "maxLength": maximum})


def storable(value: str) -> str:
    """Return a text that every store can keep.

    Raises:
        ValueError: it has a lone surrogate or a null character.
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("a text without lone surrogates") from None
    if "\0" in value:
        raise ValueError("a text without null characters")
    return value


def list_of(item: ParsedBy, maximum: int | None = None) -> ParsedBy:
    """Return the parser of lists whose items another parser reads."""

    def parse(value: Any) -> list[Any]:
        if not isinstance(value, list) or (maximum is not None and len(value) > maximum):
            raise ValueError("a list" if maximum is None else f"a list of at most {maximum} items")
        return [item.parse(each) for each in value]

    return ParsedBy(parse, {"type": "array", "items": dict(item.schema)})


def parse_flag(value: Any) -> bool:
    """Return True or False; 1 and 0, yes and no, on and off are allowed, too."""
    match value if isinstance(value, bool) else str(value).strip().lower():
        case True | "true" | "1" | "yes" | "on":
            return True
        case False | "false" | "0" | "no" | "off":
            return False
        case _:
            raise ValueError("true or false")


def parse_name(value: Any) -> str:
    """Return a name that people can read, compare and copy.

    Letters with accents are one character each, so that names that look alike are equal.
    """
    found = unicodedata.normalize("NFC", value.strip()) if isinstance(value, str) else ""
    if not 1 <= len(found) <= MAX_NAME_LENGTH:
        raise ValueError(f"a text of 1 to {MAX_NAME_LENGTH} characters")
    if not found.isprintable() and any(
        unicodedata.category(letter) in _UNREADABLE for letter in found
    ):
        raise ValueError("a text without control or direction characters")
    return found


def parse_zone(value: Any) -> str:
    """Return the IANA name of a time zone."""
    found = parse_name(value)
    check_zone(found)
    return found


def parse_instant(value: Any, timezone: str | None = None) -> Instant:
    """Return the instant of ISO 8601 or ``YYYY-MM-DD HH:MM:SS``, naive in ``timezone`` or UTC."""
    found = value.isoformat() if hasattr(value, "isoformat") else value
    if not isinstance(found, str):
        raise ValueError("ISO 8601 or YYYY-MM-DD HH:MM:SS")  # noqa: TRY004
    return in_calendar(parse_moment(found, timezone))


def in_calendar(instant: Instant) -> Instant:
    """Return the instant if it has a date in every zone.

    Raises:
        ValueError: it is before the year 1 or after 9999 in some zone.
    """
    if not _FIRST_MOMENT <= instant <= _LAST_MOMENT:
        raise ValueError("a moment from 0001-01-02 to 9999-12-30")
    return instant


def object_list(maximum: int, item_schema: Mapping[str, Any]) -> ParsedBy:
    """Return the parser of a list of objects, each to be read later."""

    def parse(value: Any) -> list[Mapping[str, Any]]:
        if not isinstance(value, list) or len(value) > maximum:
            raise ValueError(f"a list of at most {maximum} definitions")
        if not all(issubclass(kind, Mapping) for kind in set(map(type, value))):
            raise ValueError("a list of definitions, each an object")
        return value

    return ParsedBy(parse, {"type": "array", "items": dict(item_schema)})


# Types of fields

NAME_SCHEMA = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_LENGTH}
_PLAIN_NAME = r"\A(?!ZATO_NONE\Z)[!-~](?:[ -~]*[!-~])?\Z"

Name = Annotated[
    str, Meta(pattern=_PLAIN_NAME, max_length=MAX_NAME_LENGTH), ParsedBy(parse_name, NAME_SCHEMA)
]
"""A name. The pattern holds what ``parse_name`` returns unchanged; it is msgspec's fast check."""

Id = Annotated[int, Meta(ge=1, le=MAX_ID)]
JobId = Annotated[int, Meta(ge=1, le=MAX_ID), Also("job_id")]
"""A job's id: ``id`` as in Zato 3.2, or ``job_id`` as in 4.1."""

Page = Annotated[int, Meta(ge=1, le=10**9)]
Zone = Annotated[
    str,
    Meta(pattern=_PLAIN_NAME),
    ParsedBy(parse_zone, {"type": "string", "example": "Europe/Warsaw"}),
]
Moment = Annotated[int, ParsedBy(parse_instant, {"type": "string", "format": "date-time"})]
"""An instant, sent as a date; naive ones are in UTC."""

LocalMoment = Annotated[Any, ParsedBy(as_sent, {"type": "string", "format": "date-time"})]
"""A date that the service reads in a time zone which it knows later, by ``read_local``."""

Note = Annotated[str, Meta(max_length=1_000)]


def read_local(timezone: str | None, **fields: Any) -> list[Instant]:
    """Return the instants of ``LocalMoment`` fields, in the order given.

    Raises:
        BadInputError: lists every field that is not a date.
    """
    errors: list[FieldError] = []
    found = []
    for name, value in fields.items():
        parse = partial(parse_instant, timezone=timezone)
        found.append(parse_field(name, value, parse, errors))
    if errors:
        raise BadInputError.of(errors)
    return found


class JobRef(Input):
    """A job, by its id."""

    id: JobId


class RunRef(JobRef):
    """A run of a job, by the job's id and the run's number."""

    current_run: Id


class NameRef(Input):
    """A job, a calendar or an account, by its name."""

    name: Name
