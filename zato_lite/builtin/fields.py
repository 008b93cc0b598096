"""Reading the fields of a request: all that are wrong are found before any is refused."""

import contextlib
import difflib
import unicodedata
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, get_args

from zato_lite.clock import to_datetime
from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable.job import SECOND, Instant
from zato_lite.timetable.zone import check_zone, parse_moment

NAME_MOST = 200
_SHOWN_MOST = 200
_DAY = 86_400 * SECOND
_FIRST_MOMENT = parse_moment("0001-01-01", None) + _DAY
_LAST_MOMENT = parse_moment("9999-12-31", None) - _DAY
"""What can be shown in every zone."""
_UNREADABLE = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, direction, surrogate, separator

_T = TypeVar("_T")
_D = TypeVar("_D")
Read = Callable[[Any], _T]
"""From what was sent to a value; raises ValueError saying what is allowed, or BadInputError."""


def described(schema: dict[str, Any]) -> Callable[[Read[_T]], Read[_T]]:
    """Say what a reader is for in a JSON Schema, for descriptions; it may take more than that."""

    def describe(read: Read[_T]) -> Read[_T]:
        vars(read)["schema"] = schema
        return read

    return describe


def schema_of(read: Read[Any]) -> dict[str, Any]:
    """What a reader is for; a schema of anything if it does not say."""
    found: dict[str, Any] = vars(read).get("schema", {})
    return found


class Reader:
    """Reads the fields of one request; ``check`` raises for all that were wrong.

    ``""``, None and Zato's ``ZATO_NONE`` count as not sent.
    """

    def __init__(self, sent: Any) -> None:
        if sent in ("", None, b""):
            sent = {}
        if not isinstance(sent, Mapping):
            raise BadInputError(f"a JSON object is expected, not {shown(sent)}")
        self.given = {field: value for field, value in sent.items() if not is_unsent(value)}
        self.errors: list[FieldError] = []

    def __call__(self, field: str, read: Read[_T], default: _D) -> _T | _D:
        """The field's value, ``default`` where it was not sent or is wrong."""
        if field not in self.given:
            return default
        value = self.given[field]
        try:
            return read(value)
        except BadInputError as error:
            # What was sent is left out: whoever raises this says what of it may be shown.
            self.errors += error.errors or (FieldError(field, None, f"{field}: {error}"),)
        except (ValueError, TypeError, OverflowError) as error:
            self.refuse(field, f"{field}: {shown(value)} is not allowed; {error}")
        return default

    def required(self, field: str, read: Read[_T], default: _D) -> _T | _D:
        """The field's value; it is an error when it was not sent."""
        if field not in self.given:
            self.refuse(field, f"Missing required input element: {field}")
        return self(field, read, default)

    def refuse(self, field: str, message: str) -> None:
        """Note that the field is wrong."""
        self.errors.append(FieldError(field, self.given.get(field), message))

    def only(self, known: Collection[str]) -> None:
        """Note every field that is not known, with the nearest that is."""
        for field in self.given:
            if field not in known:
                nearest = difflib.get_close_matches(str(field), sorted(known), 1)
                hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
                self.refuse(field, f"{shown(field)} is not a known field{hint}")

    def check(self) -> None:
        """Raise BadInputError with all that was wrong, if anything was."""
        if self.errors:
            raise BadInputError.of(self.errors)


def is_unsent(value: Any) -> bool:
    """Whether Zato takes the value for one that was not sent."""
    return value is None or (isinstance(value, str) and value in ("", "ZATO_NONE"))


def shown(value: Any) -> str:
    """The value as an error message shows it."""
    try:
        text = ascii(value) if isinstance(value, str) and not value.isprintable() else repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, a list in itself
        text = f"a {type(value).__name__}"
    return text if len(text) <= _SHOWN_MOST else f"{text[:_SHOWN_MOST]}…"


def whole(least: int, most: int) -> Read[int]:
    """A whole number, also one that is written as a text."""

    @described({"type": "integer", "minimum": least, "maximum": most})
    def read(value: Any) -> int:
        number = least - 1
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            with contextlib.suppress(ValueError, OverflowError):
                found = int(value)
                number = found if found == float(value) else number
        if not least <= number <= most:
            raise ValueError(f"a whole number from {least} to {most}")
        return number

    return read


def number(least: float, most: float) -> Read[float]:
    """A number, also one that is written as a text; never NaN or infinite."""

    @described({"type": "number", "minimum": least, "maximum": most})
    def read(value: Any) -> float:
        found = float("nan")
        if not isinstance(value, bool) and isinstance(value, int | float | str):
            with contextlib.suppress(ValueError, OverflowError):
                found = float(value)
        if not least <= found <= most:
            raise ValueError(f"a number from {least} to {most}")
        return found

    return read


def one_of(policy: Any) -> Read[Any]:
    """One of the values of a Literal."""
    allowed = get_args(policy)

    @described({"enum": [*allowed]})
    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return value

    return read


@described({"type": "boolean"})
def flag(value: Any) -> bool:
    """True or false, also as 1 and 0, yes and no, on and off."""
    match value if isinstance(value, bool) else str(value).strip().lower():
        case True | "true" | "1" | "yes" | "on":
            return True
        case False | "false" | "0" | "no" | "off":
            return False
        case _:
            raise ValueError("true or false")


@described({"type": "string", "minLength": 1, "maxLength": NAME_MOST})
def name(value: Any) -> str:
    """A name that a person can read, compare and copy: no control or direction characters."""
    if not isinstance(value, str) or not 1 <= len(found := value.strip()) <= NAME_MOST:
        raise ValueError(f"a text of 1 to {NAME_MOST} characters")
    if not found.isprintable() and any(
        unicodedata.category(letter) in _UNREADABLE for letter in found
    ):
        raise ValueError("a text without control or direction characters")
    return found


def text(most: int) -> Read[str]:
    """A text of at most so many characters, which UTF-8 can carry."""

    @described({"type": "string", "maxLength": most})
    def read(value: Any) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise ValueError(f"a text of at most {most} characters")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("a text without lone surrogates") from None
        return value

    return read


@described({"type": "string", "example": "Europe/Warsaw"})
def zone(value: Any) -> str:
    """The IANA name of a time zone."""
    found = name(value)
    check_zone(found)
    return found


def moment(timezone: str | None = None) -> Read[Instant]:
    """An instant: ISO 8601 or ``YYYY-MM-DD HH:MM:SS``, naive in ``timezone`` or else UTC."""

    @described({"type": "string", "format": "date-time"})
    def read(value: Any) -> Instant:
        found = value.isoformat() if hasattr(value, "isoformat") else value
        if not isinstance(found, str):
            raise ValueError("ISO 8601 or YYYY-MM-DD HH:MM:SS")  # noqa: TRY004
        return showable(parse_moment(found, timezone))

    return read


def showable(instant: Instant) -> Instant:
    """The instant, if there is a date for it in every zone.

    Raises:
        ValueError: it is before the year 1 or after 9999, somewhere.
    """
    if not _FIRST_MOMENT <= instant <= _LAST_MOMENT:
        raise ValueError("a moment from 0001-01-02 to 9999-12-30")
    return instant


def iso(instant: Instant) -> str:
    """Aware ISO 8601 in UTC."""
    return to_datetime(instant).isoformat()


def naive_iso(instant: Instant) -> str:
    """ISO 8601 without an offset, in UTC: how Zato writes it."""
    return to_datetime(instant).replace(tzinfo=None).isoformat()
