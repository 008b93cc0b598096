"""Errors that are raised on purpose, each with the HTTP status of its response."""

from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple


class FieldError(NamedTuple):
    """A wrong field of an input: its path, the value received, and the problem."""

    field: str
    value: Any
    message: str


class ZatoLiteError(Exception):
    """The server is at fault; the caller may try again later."""

    status: ClassVar[int] = 500


class BadInputError(ZatoLiteError):
    """The caller's input is wrong; ``errors`` lists all wrong fields."""

    status = 400

    def __init__(self, message: str, errors: Iterable[FieldError] = ()) -> None:
        super().__init__(message)
        self.errors = tuple(errors)

    @classmethod
    def of(cls, errors: Iterable[FieldError]) -> "BadInputError":
        """Return one error for all wrong fields; its message is the list of theirs."""
        found = tuple(errors)
        return cls("; ".join(error.message for error in found), found)


class UnauthorizedError(ZatoLiteError):
    """The caller must authenticate with valid credentials."""

    status = 401


class ForbiddenError(ZatoLiteError):
    """The caller is authenticated and not allowed to do this."""

    status = 403


class DeniedError(ForbiddenError):
    """A run is refused: its principal does not exist any more, or has lost the right to it."""


class NotFoundError(ZatoLiteError):
    """The requested object does not exist."""

    status = 404


class MethodNotAllowedError(ZatoLiteError):
    """The resource does not support this HTTP method; ``allow`` lists those it does."""

    status = 405

    def __init__(self, message: str, allow: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.allow = tuple(allow)


class ConflictError(ZatoLiteError):
    """The request conflicts with the current state, such as a name that is in use."""

    status = 409


class TooLargeError(ZatoLiteError):
    """The request is larger than the server accepts."""

    status = 413


class UnsupportedTypeError(ZatoLiteError):
    """The body has a type or a charset that the server does not read."""

    status = 415


class UnprocessableError(ZatoLiteError):
    """The request is well formed and contradicts an earlier one."""

    status = 422


class TooManyRequestsError(ZatoLiteError):
    """The caller has sent too many requests; try again later.

    Attributes:
        retry_after: seconds to wait, sent as Retry-After; None if they are unknown.
    """

    status = 429

    def __init__(self, message: str = "", retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnavailableError(ZatoLiteError):
    """The store or service is unavailable; nothing was changed."""

    status = 503


class DeadlineError(ZatoLiteError, TimeoutError):
    """The caller's deadline has passed; the work was cancelled."""

    status = 504


class OutgoingError(UnavailableError):
    """Another system cannot be reached, or does not answer as agreed."""


class OutgoingTimeoutError(OutgoingError, DeadlineError):
    """Another system did not answer in time."""

    status = 504


class UnknownConnectionError(ZatoLiteError, KeyError):
    """The settings have no connection of this name."""

    __str__ = Exception.__str__  # KeyError's would return the repr of the message


class JobNotFoundError(NotFoundError):
    """A job with this id or name does not exist."""


class JobExistsError(ConflictError):
    """A job with this name exists already."""


class ServiceMissingError(NotFoundError, KeyError):
    """A service with this name is not deployed."""

    __str__ = Exception.__str__  # KeyError's would return the repr of the message


class ServiceExistsError(ConflictError):
    """A service with this name exists already."""


class StoreLockedError(UnavailableError):
    """The store cannot be used yet: another program holds a lock on what it needs."""


class ServiceInactiveError(UnavailableError):
    """The service is deployed and inactive."""


class InvocationError(ZatoLiteError):
    """A service broke a rule: it invoked itself, nested without limit, or exited."""


class NotOfferedError(ZatoLiteError):
    """A feature of Zato that zato-lite does not offer."""

    status = 501


class StoreError(ZatoLiteError):
    """The store is damaged, newer than this program, or locked by another one."""


class ConfigError(ZatoLiteError):
    """The configuration is wrong; the message lists all mistakes."""
