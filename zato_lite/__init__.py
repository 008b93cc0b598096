"""An asyncio microservice framework with a durable scheduler inside."""

# pyright: reportUnsupportedDunderAll=false

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Imported when they are asked for: `zato-lite --help` wants none of them. Type checkers read
# __init__.pyi, and a test holds the two together.
_HOMES = {
    "BadInputError": "zato_lite.errors",
    "BlockingService": "zato_lite.service.blocking",
    "Bool": "zato_lite.zato.elements",
    "ConflictError": "zato_lite.errors",
    "DeadlineError": "zato_lite.errors",
    "Dict": "zato_lite.zato.elements",
    "DictList": "zato_lite.zato.elements",
    "FieldError": "zato_lite.errors",
    "Float": "zato_lite.zato.elements",
    "ForbiddenError": "zato_lite.errors",
    "Int": "zato_lite.zato.elements",
    "List": "zato_lite.zato.elements",
    "Model": "zato_lite.zato.model",
    "NotFoundError": "zato_lite.errors",
    "Service": "zato_lite.service.base",
    "Text": "zato_lite.zato.elements",
    "ZatoLiteError": "zato_lite.errors",
    "cron": "zato_lite.service.schedule",
    "every": "zato_lite.service.schedule",
    "needs": "zato_lite.service.needs",
}

__all__ = [
    "BadInputError",
    "BlockingService",
    "Bool",
    "ConflictError",
    "DeadlineError",
    "Dict",
    "DictList",
    "FieldError",
    "Float",
    "ForbiddenError",
    "Int",
    "List",
    "Model",
    "NotFoundError",
    "Service",
    "Text",
    "ZatoLiteError",
    "__version__",
    "cron",
    "every",
    "needs",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
