"""Every error raised on purpose: what happened, whose turn it is, and the HTTP status it has."""

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple


class FieldError(NamedTuple):
    """One wrong field of an input: its path, the value that came, and what is allowed."""

    field: str
    value: Any
    message: str


class ZatoLiteError(Exception):
    """Something is wrong on our side; whoever called may try again later."""

    status: ClassVar[int] = 500


class BadInputError(ZatoLiteError):
    """The caller sent something that cannot be used; ``errors`` names every wrong field."""

    status = 400

    def __init__(self, message: str, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)

    @classmethod
    def of(cls, errors: Iterable[FieldError]) -> "BadInputError":
        """All wrong fields in one error, whose message is the first one's or a list of all."""
        found = tuple(errors)
        return cls("; ".join(error.message for error in found), found)


class UnauthorizedError(ZatoLiteError):
    """The caller must say who it is, with credentials that are right."""

    status = 401


class ForbiddenError(ZatoLiteError):
    """The caller is known and may not do this."""

    status = 403


class NotFoundError(ZatoLiteError):
    """What the caller named does not exist."""

    status = 404


class MethodNotAllowedError(ZatoLiteError):
    """The thing exists and does not answer to this HTTP method; ``allow`` are those it does."""

    status = 405

    def __init__(self, message: str, allow: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.allow = tuple(allow)


class ConflictError(ZatoLiteError):
    """What is asked contradicts what is there: a name that is taken, a state that has passed."""

    status = 409


class TooLargeError(ZatoLiteError):
    """More was sent than is accepted."""

    status = 413


class TooManyRequestsError(ZatoLiteError):
    """Too often; try again later."""

    status = 429


class UnavailableError(ZatoLiteError):
    """Not now: the store is full, closed or away. Nothing was changed."""

    status = 503


class DeadlineError(ZatoLiteError, TimeoutError):
    """The time that the caller gave has passed; the work was cancelled."""

    status = 504


class JobNotFoundError(NotFoundError):
    """No job has this id or name."""


class JobExistsError(ConflictError):
    """Another job has this name."""


class ServiceMissingError(NotFoundError, KeyError):
    """No service of this name is deployed."""

    __str__ = Exception.__str__  # a KeyError's is the repr of its message


class ServiceExistsError(ConflictError):
    """Two services have one name."""


class ServiceInactiveError(UnavailableError):
    """The service is deployed and has been made inactive."""


class InvocationError(ZatoLiteError):
    """A service did what no service may: invoke itself, nest without end, or exit."""


class NotOfferedError(ZatoLiteError):
    """Zato has this, and zato-lite does not."""


class StoreError(ZatoLiteError):
    """The store cannot be used: damaged, newer than this program, or locked by another one."""


class ConfigError(ZatoLiteError):
    """The configuration has mistakes; all of them are listed at once."""
