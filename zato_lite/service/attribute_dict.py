"""Dictionaries with attribute access: plain, of a caller's message, of the configuration."""

from collections.abc import Mapping
from typing import Any

from zato_lite.errors import BadInputError, ConfigError, FieldError


class MissingInputError(BadInputError, AttributeError):
    """An element of its input that a service asked for and the caller did not send."""

    @classmethod
    def named(cls, element: str) -> "MissingInputError":
        """Return the error for one element."""
        message = f"Missing required input element: {element}"
        return cls(message, [FieldError(element, None, message)])


class MissingSettingError(ConfigError, AttributeError):
    """A setting that a service asked for and the configuration does not have."""


class AttributeDict(dict[str, Any]):
    """A dictionary whose keys can be read and set as attributes, at every level."""

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError:
            raise self._missing(name) from None
        wrapped = self._wrapped(name, value)
        if wrapped is not value:
            self[name] = wrapped
        return wrapped

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise self._missing(name) from None

    def _missing(self, name: str) -> AttributeError:
        return AttributeError(f"unknown key {name!r}; available: {_listed(self)}")

    def _wrapped(self, name: str, value: Any) -> Any:
        return with_attributes(value)


class Message(AttributeDict):
    """A caller's message; a missing key is the caller's error."""

    def _missing(self, name: str) -> AttributeError:
        return MissingInputError.named(name)

    def _wrapped(self, name: str, value: Any) -> Any:
        return as_message(value)


class Config(AttributeDict):
    """The user's part of the configuration; a missing key is the server's error.

    Args:
        settings: the settings. path: their section, for messages.
    """

    def __init__(self, settings: Mapping[str, Any], path: str = "user") -> None:
        super().__init__(settings)
        vars(self)["_section"] = path

    def _missing(self, name: str) -> AttributeError:
        path = vars(self)["_section"]
        return MissingSettingError(f"[{path}] {name} is not set; available: {_listed(self)}")

    def _wrapped(self, name: str, value: Any) -> Any:
        return Config(value, f"{vars(self)['_section']}.{name}") if type(value) is dict else value


def with_attributes(value: Any, kind: type[AttributeDict] = AttributeDict) -> Any:
    """Return a dictionary, or a list of dictionaries, with attribute access; else the value."""
    if type(value) is dict:
        return kind(value)
    if type(value) is list and any(type(item) is dict for item in value):
        # The condition saves a call for each of what may be a hundred thousand dictionaries.
        return [
            kind(item) if type(item) is dict else with_attributes(item, kind) for item in value
        ]
    return value


def as_message(value: Any) -> Any:
    """Return a caller's value with attribute access to its dictionaries."""
    return with_attributes(value, Message)


def _listed(keys: Mapping[str, Any]) -> str:
    return ", ".join(sorted(map(str, keys))) or "none"
