"""Field errors: finds every wrong field of a payload, as msgspec reports only the first."""

import dataclasses
import enum
import re
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import partial
from itertools import islice, repeat
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec
import typing_extensions

from zato_lite.errors import FieldError

MAX_ERRORS = 100
"""Wrong fields that one request reports at most."""

_MAX_SHOWN = 20
"""Allowed values that an error lists, and unknown fields that get a proposal."""

_MAX_NAME = 200
_MAX_MESSAGE = 500

_PART = 64
"""Items that are converted together, to find those parts of a long list that have errors."""


def wrong_fields(
    payload: Any, wanted: Any, is_strict: bool, error: msgspec.ValidationError
) -> list[FieldError]:
    """Return an error for each wrong field of the payload; msgspec stops at the first."""
    convert = partial(msgspec.convert, strict=is_strict)
    found: list[FieldError] = []
    try:
        found += islice(_wrong_inside(convert, payload, wanted, ""), MAX_ERRORS)
    except RecursionError:  # a recursive type, nested too deeply: the first error has to do
        found.clear()
    return found or [_field_error(payload, "", error)]


def wrong_values(
    value: Any, wanted: Any, path: str, error: msgspec.ValidationError
) -> list[FieldError]:
    """Return the errors in the value of one field that was sent as text."""
    found = islice(_wrong(partial(msgspec.convert, strict=False), value, wanted, path), MAX_ERRORS)
    return [*found] or [_field_error(value, path, error, wanted)]


def _wrong(
    convert: Callable[..., Any], value: Any, wanted: Any, path: str
) -> Iterator[FieldError]:
    try:
        convert(value, wanted)
    except msgspec.ValidationError as error:
        inner = _wrong_inside(convert, value, wanted, path)
        yield next(inner, None) or _field_error(value, path, error, wanted)
        yield from inner


def _field_error(
    value: Any, path: str, error: msgspec.ValidationError, wanted: Any = None
) -> FieldError:
    """Return the wrong field that msgspec names, by a path that begins at ``path``."""
    message, _, place = str(error).partition(" - at `")
    inner = place.rpartition("$")[2].rstrip("`")
    message = message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}…"
    if allowed := _tags(wanted, inner, message) or ([] if inner else _choices(wanted)):
        shown = ", ".join(map(repr, allowed[:_MAX_SHOWN]))
        message += f"; use one of {shown}{', …' if len(allowed) > _MAX_SHOWN else ''}"
    message += _EXAMPLES.get(message, "")
    for key, index in _STEP.findall(inner):
        if index.isdigit() and isinstance(value, (list, tuple)):
            value = value[int(index)]
        elif isinstance(value, Mapping):
            value = value.get(key)
        else:  # a key of a dictionary, which msgspec does not name
            value = None
    path = (path + inner).removeprefix(".")
    return FieldError(path, value, f"{path}: {message}" if path else message)


_EXAMPLES = {
    "Invalid RFC3339 encoded date": "; write it like 2026-01-31",
    "Invalid RFC3339 encoded time": "; write it like 09:30:00",
    "Invalid RFC3339 encoded datetime": "; write it like 2026-01-31T09:30:00+01:00",
    "Invalid ISO8601 duration": "; write it like PT1H30M",
}


def _tags(wanted: Any, inner: str, message: str) -> list[Any]:
    """Return the tags of a union of structs, if the wrong value is a tag or it is missing."""
    if get_origin(wanted) is Annotated:
        wanted = get_args(wanted)[0]
    configs = [getattr(arm, "__struct_config__", None) for arm in get_args(wanted)]
    tagged = [config for config in configs if config is not None and config.tag_field is not None]
    if not any(
        inner == f".{config.tag_field}" or message.endswith(f"field `{config.tag_field}`")
        for config in tagged
    ):
        return []
    return [config.tag for config in tagged]


def _choices(wanted: Any) -> list[Any]:
    """Return the values that a Literal or an Enum permits; none for any other type."""
    origin = get_origin(wanted)
    if origin in {Union, UnionType, Annotated}:
        arms = get_args(wanted)[:1] if origin is Annotated else get_args(wanted)
        return [value for arm in arms for value in _choices(arm)]
    if origin is Literal:
        return [*get_args(wanted)]
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return [member.value for member in wanted]
    return []


_STEP = re.compile(r"\.([^.\[]+)|\[([^\]]+)\]")


def _wrong_inside(
    convert: Callable[..., Any], value: Any, wanted: Any, path: str
) -> Iterator[FieldError]:
    """Yield the errors below a structure; none if the structure itself is wrong."""
    if get_origin(wanted) is Annotated:
        wanted = get_args(wanted)[0]
    arms = [arm for arm in get_args(wanted) if arm is not type(None)]
    origin = get_origin(wanted)
    if origin in (Union, UnionType):
        if (arm := arms[0] if len(arms) == 1 else _tagged(value, arms)) is not None:
            yield from _wrong_inside(convert, value, arm, path)
    elif isinstance(value, (list, tuple)):
        yield from _wrong_items(convert, value, wanted, path)
    elif isinstance(value, Mapping) and origin is dict:
        for key, item in _suspect_items(convert, value, arms[1]):
            yield from _wrong(convert, item, arms[1], below(path, str(key)))
    elif isinstance(value, Mapping):
        yield from _wrong_fields(convert, value, wanted, path)


def _wrong_items(
    convert: Callable[..., Any], value: Sequence[Any], wanted: Any, path: str
) -> Iterator[FieldError]:
    """Yield the errors in a list; parts of it without any cost one conversion each."""
    is_uniform = get_origin(wanted) is list
    for start in range(0, len(value), _PART):
        part = value[start : start + _PART]
        if is_uniform and _is_right(convert, part, wanted):
            continue
        kinds = islice(_items(wanted), start, None)
        for index, (item, item_type) in enumerate(zip(part, kinds, strict=False), start):
            yield from _wrong(convert, item, item_type, f"{path}[{index}]")


def _suspect_items(
    convert: Callable[..., Any], value: Mapping[Any, Any], wanted: Any
) -> Iterator[tuple[Any, Any]]:
    """Yield the items of a dictionary, but for parts of it in which no value is wrong."""
    items = iter(value.items())
    while part := [*islice(items, _PART)]:
        if not _is_right(convert, [item for _, item in part], list.__class_getitem__(wanted)):
            yield from part


def _is_right(convert: Callable[..., Any], value: Any, wanted: Any) -> bool:
    try:
        convert(value, wanted)
    except msgspec.ValidationError:
        return False
    return True


def _tagged(value: Any, arms: Iterable[Any]) -> Any:
    """Return the struct of a union that the value's tag names."""
    for arm in arms:
        config = getattr(arm, "__struct_config__", None)
        if config is None or config.tag_field is None or not isinstance(value, Mapping):
            continue
        if value.get(config.tag_field) == config.tag:
            return arm
    return None


def _items(wanted: Any) -> Iterable[Any]:
    """Return the types of the items of a list or tuple, in order."""
    arms = get_args(wanted)
    if get_origin(wanted) is tuple and arms[-1] is not Ellipsis:
        return arms
    if isinstance(wanted, type) and issubclass(wanted, tuple) and hasattr(wanted, "_fields"):
        return get_type_hints(wanted, include_extras=True).values()
    return repeat(arms[0]) if arms else ()


def _wrong_fields(
    convert: Callable[..., Any], value: Mapping[str, Any], wanted: Any, path: str
) -> Iterator[FieldError]:
    yield from _unknown_fields(value, wanted, path)
    for name, field_type, is_required in fields_of(wanted):
        inner = below(path, name)
        if name in value:
            yield from _wrong(convert, value[name], field_type, inner)
        elif is_required:
            yield FieldError(inner, None, _missing(wanted, inner))


def _unknown_fields(value: Mapping[str, Any], wanted: Any, path: str) -> Iterator[FieldError]:
    """Yield an error for each field that a struct does not know, if it forbids these."""
    config = getattr(wanted, "__struct_config__", None)
    if config is None or not config.forbid_unknown_fields:
        return
    known = {name for name, _, _ in fields_of(wanted)} | {config.tag_field}
    for count, name in enumerate([name for name in value if name not in known][:MAX_ERRORS]):
        inner, text = below(path, str(name)), str(name)[:_MAX_NAME]
        hint = get_close_matches(text, sorted(known - {None}), 1) if count < _MAX_SHOWN else []
        proposal = f"; did you mean {hint[0]!r}?" if hint else ""
        yield FieldError(inner, value[name], f"{inner}: unknown field `{text}`{proposal}")


def fields_of(wanted: Any) -> Iterator[tuple[str, Any, bool]]:
    """Yield each field's name as it is sent, its type, and whether it is required."""
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct):
        for field in msgspec.structs.fields(wanted):
            yield field.encode_name, field.type, field.required
    elif is_typeddict(wanted):
        required: frozenset[str] = wanted.__required_keys__
        for name, hint in get_type_hints(wanted, include_extras=True).items():
            is_marked = get_origin(hint) in _MARKS
            yield name, get_args(hint)[0] if is_marked else hint, name in required
    elif dataclasses.is_dataclass(wanted) and isinstance(wanted, type):
        hints = get_type_hints(wanted, include_extras=True)
        for member in dataclasses.fields(wanted):
            missing = dataclasses.MISSING
            is_required = member.default is missing and member.default_factory is missing
            yield member.name, hints[member.name], is_required


_MARKS = {
    getattr(module, name)
    for module in (typing, typing_extensions)
    for name in ("Required", "NotRequired", "ReadOnly")
    if hasattr(module, name)
}
"""Marks of TypedDicts around the types of their fields."""


def _missing(wanted: Any, path: str) -> str:
    message: Callable[[str], str] | None = getattr(wanted, "missing_message", None)
    return message(path) if message else f"Missing required input element: {path}"


def below(path: str, name: str) -> str:
    """Return the path of a field inside the structure at ``path``."""
    return f"{path}.{name}" if path else name
