"""An asyncio microservice framework with a durable scheduler inside."""

# pyright: reportUnsupportedDunderAll=false

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

# Public names by the module that defines them; imported on first use, as `zato-lite --help` would
# take twice as long otherwise. Type checkers read __init__.pyi, which a test derives from this.
_MODULES = {
    "zato_lite.errors": (
        "BadInputError",
        "ConflictError",
        "DeadlineError",
        "FieldError",
        "ForbiddenError",
        "NotFoundError",
        "OutgoingError",
        "OutgoingTimeoutError",
        "ZatoLiteError",
    ),
    "zato_lite.outgoing.http": ("RestRequest", "RestResponse"),
    "zato_lite.outgoing.mail": ("SMTPMessage",),
    "zato_lite.service.answers": ("Answer",),
    "zato_lite.service.attribute_dict": ("Config",),
    "zato_lite.service.base": ("Service",),
    "zato_lite.service.binding": ("Body", "Cookie", "Header", "Path", "Query"),
    "zato_lite.service.blocking": ("BlockingService",),
    "zato_lite.service.declared_schedule": ("cron", "every"),
    "zato_lite.service.idempotency": ("IdempotencyKey",),
    "zato_lite.service.middleware": ("Call",),
    "zato_lite.service.moments": ("on_start", "on_stop"),
    "zato_lite.service.needs": ("needs",),
    "zato_lite.service.rate_limit": ("RateLimit",),
    "zato_lite.service.resource": ("resource",),
    "zato_lite.service.stream": ("Event", "FileAnswer"),
    "zato_lite.service.uploads": ("BodyLimits", "UploadedFile"),
    "zato_lite.transactional": ("create_job", "enqueue"),
    "zato_lite.zato.elements": ("Bool", "Dict", "DictList", "Float", "Int", "List", "Text"),
    "zato_lite.zato.model": ("Model",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [*_HOMES, "__version__"]  # noqa: PLE0604 - texts, all of them


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
