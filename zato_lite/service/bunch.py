"""Dictionaries with attribute access: anybody's, a caller's, and the configuration's."""

from collections.abc import Mapping
from typing import Any

from zato_lite.errors import BadInputError, ConfigError, FieldError


class MissingInputError(BadInputError, AttributeError):
    """The service asked for an element of its input that the caller did not send."""

    @classmethod
    def named(cls, element: str) -> "MissingInputError":
        """The error for one element."""
        message = f"Missing required input element: {element}"
        return cls(message, [FieldError(element, None, message)])


class MissingSettingError(ConfigError, AttributeError):
    """A service asked for a setting that the configuration does not have."""


class Bunch(dict[str, Any]):
    """A dictionary whose keys can be read and set as attributes, all the way down."""

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
        return AttributeError(f"there is no key {name!r}; there are: {_listed(self)}")

    def _wrapped(self, name: str, value: Any) -> Any:
        return as_bunch(value)


class Message(Bunch):
    """What a caller sent: what is missing in it is the caller's error."""

    def _missing(self, name: str) -> AttributeError:
        return MissingInputError.named(name)

    def _wrapped(self, name: str, value: Any) -> Any:
        return as_message(value)


class Config(Bunch):
    """The user's part of the configuration: what is missing in it is the server's error.

    Args:
        settings: what there is. path: where it is, for messages.
    """

    def __init__(self, settings: Mapping[str, Any], path: str = "user") -> None:
        super().__init__(settings)
        vars(self)["path"] = path

    def _missing(self, name: str) -> AttributeError:
        path = vars(self)["path"]
        return MissingSettingError(f"[{path}] {name} is not set; there are: {_listed(self)}")

    def _wrapped(self, name: str, value: Any) -> Any:
        return Config(value, f"{vars(self)['path']}.{name}") if type(value) is dict else value


def as_bunch(value: Any) -> Any:
    """The value with attribute access where it is a dictionary or a list of them."""
    if type(value) is dict:
        return Bunch(value)
    if type(value) is list and any(type(item) is dict for item in value):
        return [as_bunch(item) for item in value]
    return value


def as_message(value: Any) -> Any:
    """The same for what a caller sent."""
    if type(value) is dict:
        return Message(value)
    if type(value) is list and any(type(item) is dict for item in value):
        return [as_message(item) for item in value]
    return value


def _listed(keys: Mapping[str, Any]) -> str:
    return ", ".join(sorted(map(str, keys))) or "none"
