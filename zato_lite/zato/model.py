"""``Model``: Zato's base class of dataclasses that describe input and output."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, Self, cast

import msgspec

from zato_lite.wire import encode


class Model:
    """Base of a service's input or output: ``@dataclass(init=False) class X(Model): …``.

    A field whose type allows None may be left out, as in Zato.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.__dict__.get("__doc__"):
            cls.__doc__ = cls.__name__  # otherwise dataclass uses the signature
        for name, annotation in inspect.get_annotations(cls).items():
            if name not in cls.__dict__ and _allows_none(annotation):
                setattr(cls, name, None)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Create a model with its defaults set on the instance, where serializers look."""
        self = super().__new__(cls)
        self.__post_init__()
        return self

    def __post_init__(self) -> None:
        own = self.__dict__
        for field in dataclasses.fields(cast("Any", self)):
            if field.name in own:
                continue
            if field.default is not dataclasses.MISSING:
                own[field.name] = field.default
            elif field.default_factory is not dataclasses.MISSING:
                own[field.name] = field.default_factory()

    @staticmethod
    def missing_message(path: str) -> str:
        """Return Zato's error text for a missing field."""
        pointer = path.replace("[", "/").replace("]", "").replace(".", "/")
        return f"Element missing: /{pointer}"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Create the model that the dictionary describes.

        Raises:
            msgspec.ValidationError: the dictionary does not match.
        """
        return msgspec.convert(data, cls)

    def to_dict(self) -> dict[str, Any]:
        """Return the model as a dictionary, nested models included."""
        return {
            field.name: msgspec.to_builtins(getattr(self, field.name))
            for field in dataclasses.fields(cast("Any", self))
            if hasattr(self, field.name)
        }

    def to_json(self) -> str:
        """Return the model as JSON."""
        return encode(self.to_dict()).decode()


def _allows_none(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.startswith(("optional[", "Optional[")) or "None" in annotation
    return type(None) in getattr(annotation, "__args__", ())
