"""Names of services; default ones are by Zato's rule."""

import re
import sys
from pathlib import PurePath
from typing import Any

_NEW_WORD = re.compile(r"((?<=[a-z])[A-Z]|(?<!\A)(?<!_)[A-Z](?=[a-z]))")
_SOURCE_ROOTS = ("src", "source")


def name_of(service: Any) -> str:
    """Return the name of a service that is given by its name, its class or an instance.

    Raises:
        TypeError: it is none of these.
    """
    if isinstance(service, str):
        return service
    if not hasattr(service, "get_name"):
        raise TypeError(f"service {service!r} is not known; use a service's name or class")
    name: str = service.get_name()
    return name


def default_name(cls: type) -> str:
    """Return the name of a service class that declares none."""
    module = sys.modules.get(cls.__module__)
    path = getattr(module, "__file__", None) or cls.__module__.replace(".", "/") + ".py"
    return service_name(PurePath(path), cls.__name__)


def service_name(path: PurePath, class_name: str) -> str:
    """Return ``my-service.get-sap-data`` for ``services/my_service.py`` and ``GetSAPData``."""
    words = _NEW_WORD.sub(r"-\1", class_name)
    return f"{_module_part(path)}.{words.lower()}"


def _module_part(path: PurePath) -> str:
    parts = [*path.parent.parts, path.stem]
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    below = 1
    if path.parent.name != "services":
        roots = [n for n, part in enumerate(parts[:-1]) if part in _SOURCE_ROOTS]
        below = len(parts) - 1 - roots[-1] if roots else 1
    return ".".join(parts[-below:]).replace("_", "-")
