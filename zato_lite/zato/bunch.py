"""``bunch``: dictionaries with attribute access, as services written for Zato import them."""

import json
from collections.abc import Mapping
from typing import Any

from zato_lite.service.attribute_dict import AttributeDict


class Bunch(AttributeDict):
    """A dictionary whose keys are attributes too, at every level."""

    def _wrapped(self, name: str, value: Any) -> Any:
        if type(value) is list:  # the same list, as others may have it
            value[:] = [bunchify(each) if type(each) is dict else each for each in value]
        return bunchify(value) if type(value) is dict else value

    def toDict(self) -> dict[str, Any]:  # noqa: N802 - its name in the library
        """Return an ordinary dictionary, at every level."""
        plain: dict[str, Any] = unbunchify(self)
        return plain

    def toJSON(self, **options: Any) -> str:  # noqa: N802 - its name in the library
        """Return the dictionary as JSON."""
        return json.dumps(self, **options)

    @staticmethod
    def fromDict(value: Mapping[str, Any]) -> "Bunch":  # noqa: N802 - its name in the library
        """Return a dictionary with attribute access."""
        made: Bunch = bunchify(value)
        return made

    def copy(self) -> "Bunch":
        """Return a copy, at every level."""
        return Bunch.fromDict(self)


def bunchify(value: Any) -> Any:
    """Return dictionaries with attribute access in place of all dictionaries."""
    if isinstance(value, Mapping):
        return Bunch({key: bunchify(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return type(value)(bunchify(each) for each in value)
    return value


def unbunchify(value: Any) -> Any:
    """Return ordinary dictionaries in place of those with attribute access."""
    if isinstance(value, Mapping):
        return {key: unbunchify(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(unbunchify(each) for each in value)
    return value
