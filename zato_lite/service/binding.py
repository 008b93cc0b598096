"""Binding: the fields of a declared input, taken from the parts of an HTTP request by name."""

import sys
from collections.abc import Collection, Mapping
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

import msgspec

from zato_lite.errors import BadInputError, FieldError
from zato_lite.service.field_errors import fields_of, wrong_values
from zato_lite.service.message import HttpContext
from zato_lite.service.uploads import UploadedFile

TEXT_METHODS = frozenset({"GET", "HEAD"})
"""Methods whose input is the query string, in which all values are text."""

_MAX_SHOWN = 100
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Source(msgspec.Struct, frozen=True):
    """Annotation of a field: the one part of an HTTP request from which it is taken.

    Attributes:
        name: its name there; the default is the field's.
    """

    name: str = ""

    def key(self, field: str) -> str:
        """Return the name under which the field is sent."""
        return self.name or field


class Path(Source, frozen=True):
    """The field is a parameter of the channel's path."""


class Query(Source, frozen=True):
    """The field is in the query string, also if the request has a body."""


class Header(Source, frozen=True):
    """The field is a header; by default ``x_token`` is ``x-token``."""

    def key(self, field: str) -> str:
        """Return the name of the header in lower case."""
        return (self.name or field.replace("_", "-")).lower()


class Cookie(Source, frozen=True):
    """The field is a cookie."""


class Body(Source, frozen=True):
    """The field is the whole body; the other fields have other sources."""


class BoundField(NamedTuple):
    """A field of an input and the part of a request from which it is taken.

    Attributes:
        name: as it is sent in a body.
        source: None for path, body and query, in this order.
        key: the name in its source.
        is_list: a single value becomes a list with one item.
    """

    name: str
    type: Any
    source: Source | None
    key: str
    is_list: bool


class Binding:
    """The fields of a declared input by name.

    Attributes:
        is_located: a field names its source.
        is_native: msgspec converts to the type; other types accept text for numbers themselves.
    """

    def __init__(self, fields: Collection[BoundField], *, is_native: bool) -> None:
        self.fields, self.is_native = fields, is_native
        self._located = frozenset(field.name for field in fields if field.source is not None)
        self.is_located = bool(self._located)
        self._has_body = any(isinstance(field.source, Body) for field in fields)

    def values_of(self, payload: Any, http: HttpContext) -> tuple[Any, list[FieldError]]:
        """Return the payload with the fields from elsewhere, and the errors of those in text.

        A parameter of the path takes precedence over the body, and the body over the query string.
        A payload of another type than an object is returned unchanged, unless a field is the body.
        """
        is_text = has_text(http)
        if self._has_body and http.query and http.method in TEXT_METHODS:
            payload = None  # it is the query string
        sent = {} if payload is None or payload == "" or self._has_body else payload
        if not isinstance(sent, Mapping):
            return payload, []
        values = {name: value for name, value in sent.items() if name not in self._located}
        errors: list[FieldError] = []
        cookies = cookies_of(http) if self.is_located else {}
        for field in self.fields:
            if isinstance(field.source, Body):
                if payload is not None:
                    values[field.name] = payload
            elif (text := _text_of(field, sent, http, cookies, is_text)) is not None:
                values[field.name] = self._converted(field, text, errors)
        return values, errors

    def explained(self, errors: Collection[FieldError]) -> list[FieldError]:
        """Return the errors; those of fields with a source name it."""
        sources = {field.name: field for field in self.fields if field.source is not None}
        found = []
        for error in errors:
            message = error.message
            if (field := sources.get(_root(error.field))) is not None:
                key = "" if isinstance(field.source, Body) else f" {field.key}"
                message += f"; taken from the {type(field.source).__name__.lower()}{key}"
            found.append(error._replace(message=message))
        return found

    def read(self, read: Any, payload: Any, http: HttpContext) -> Any:
        """Return the input that ``read`` makes of the request.

        Raises:
            BadInputError: lists all wrong fields.
        """
        values, wrong = self.values_of(payload, http)
        try:
            result = read(values)
        except BadInputError as error:
            names = {_root(each.field) for each in wrong}
            others = [each for each in error.errors or () if _root(each.field) not in names]
            if not (wrong or others):
                raise
            raise BadInputError.of(self.explained([*wrong, *others])) from error
        if wrong:
            raise BadInputError.of(self.explained(wrong))
        return result

    def _converted(self, field: BoundField, value: Any, errors: list[FieldError]) -> Any:
        if field.is_list and isinstance(value, str | UploadedFile):
            value = [value]
        if not self.is_native:
            return value
        try:
            return msgspec.convert(value, field.type, strict=False)
        except msgspec.ValidationError as error:
            errors += wrong_values(value, field.type, field.name, error)
            return value


def binding_of(wanted: Any, *, is_native: bool = True) -> Binding | None:
    """Return how the fields of a type are bound; None if it has no named fields."""
    fields = [_bound(name, kind) for name, kind, _ in fields_of(wanted)] or _of_pydantic(wanted)
    return Binding(fields, is_native=is_native) if fields else None


def merged(payload: Any, http: HttpContext) -> Any:
    """Return a payload with the parameters of the path, and those of the query string it lacks."""
    if payload is None or payload == "":
        return {**http.query, **http.params}
    return {**http.query, **payload, **http.params} if isinstance(payload, Mapping) else payload


def with_parameters(payload: Any, http: HttpContext) -> Any:
    """Return a payload with the parameters of the path; without one, also of the query string."""
    if payload is None or payload == "":
        return merged(payload, http)
    is_object = http.params and isinstance(payload, Mapping)
    return {**payload, **http.params} if is_object else payload


def has_text(http: HttpContext) -> bool:
    """Return True if all values of the request's payload are text."""
    if http.method in TEXT_METHODS:
        return True
    return http.headers.get("content-type", "").lstrip().lower().startswith(_FORMS)


def refuse_other_body(http: HttpContext, error: BadInputError) -> None:
    """Refuse a body that is not JSON and not a form by its content type, which explains the error.

    Raises:
        BadInputError: the body has another type.
    """
    kind = http.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not kind or kind == "application/json" or kind.endswith("+json"):
        return
    hint = "JSON as application/json, or a form as application/x-www-form-urlencoded"
    if kind == _FORMS[1]:
        hint += "; a service reads multipart/form-data if its input has an UploadedFile"
    text = f"Content-Type {kind[:_MAX_SHOWN]} does not fit the declared input; send {hint}"
    raise BadInputError(text) from error


def cookies_of(http: HttpContext) -> dict[str, str]:
    """Return the cookies of a request; of equal names the first."""
    cookies: dict[str, str] = {}
    for part in http.headers.get("cookie", "").split(";"):
        name, sign, value = part.strip().partition("=")
        if sign:
            cookies.setdefault(name, value.strip('"'))
    return cookies


def _text_of(
    field: BoundField,
    sent: Mapping[str, Any],
    http: HttpContext,
    cookies: Mapping[str, str],
    is_text: bool,
) -> Any:
    """Return the text of a field; None for one that was not sent, or not as text."""
    match field.source:
        case Header():
            return http.headers.get(field.key)
        case Cookie():
            return cookies.get(field.key)
        case Query():
            return http.query.get(field.key)
        case _:
            pass
    if field.key in http.params:
        return http.params[field.key]
    if field.name in sent:
        return sent[field.name] if is_text or field.source is not None else None
    return http.query.get(field.name)


def _bound(name: str, declared: Any) -> BoundField:
    metadata = getattr(declared, "__metadata__", ())
    source = next((each for each in metadata if isinstance(each, Source)), None)
    key = source.key(name) if source is not None else name
    return BoundField(name, declared, source, key, _is_list(declared))


def _of_pydantic(wanted: Any) -> list[BoundField]:
    if "pydantic" not in sys.modules or not hasattr(wanted, "model_fields"):
        return []
    return [
        _bound(info.alias or name, Annotated[info.annotation, *info.metadata, None])
        for name, info in wanted.model_fields.items()
    ]


def _is_list(declared: Any) -> bool:
    """Return True for a collection, or a union of one with None."""
    origin = get_origin(declared) or declared
    if origin is Annotated:
        return _is_list(get_args(declared)[0])
    if origin in {Union, UnionType}:
        arms = [arm for arm in get_args(declared) if arm is not type(None)]
        return all(map(_is_list, arms))
    is_collection = isinstance(origin, type) and issubclass(origin, Collection)
    return is_collection and not issubclass(origin, str | bytes | bytearray | Mapping)


def _root(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]
