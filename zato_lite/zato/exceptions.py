"""Zato's exceptions: ours, under its names and built the way its services build them."""

from http import HTTPStatus
from http.client import (
    BAD_REQUEST,
    CONFLICT,
    FORBIDDEN,
    INTERNAL_SERVER_ERROR,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    SERVICE_UNAVAILABLE,
    TOO_MANY_REQUESTS,
    UNAUTHORIZED,
)
from http.client import responses as HTTP_RESPONSES  # noqa: N812 - Zato's name
from typing import Any

from zato_lite.errors import (
    BadInputError,
    ConflictError,
    ForbiddenError,
    MethodNotAllowedError,
    NotFoundError,
    ServiceInactiveError,
    ServiceMissingError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
    ZatoLiteError,
)

__all__ = [
    "BAD_REQUEST",
    "CONFLICT",
    "FORBIDDEN",
    "HTTP_RESPONSES",
    "INTERNAL_SERVER_ERROR",
    "METHOD_NOT_ALLOWED",
    "NOT_FOUND",
    "SERVICE_UNAVAILABLE",
    "TOO_MANY_REQUESTS",
    "UNAUTHORIZED",
    "BackendInvocationError",
    "BadRequest",
    "ClientHTTPError",
    "ClientSecurityException",
    "Conflict",
    "ConnectionException",
    "ConnectorClosedException",
    "Forbidden",
    "HTTPException",
    "IBMMQException",
    "Inactive",
    "InternalServerError",
    "MethodNotAllowed",
    "NoDistributionFound",
    "NotFound",
    "ParsingException",
    "PubSubSubscriptionExists",
    "Reportable",
    "RuntimeInvocationError",
    "ServiceMissingException",
    "ServiceUnavailable",
    "StatusAwareException",
    "TimeoutException",
    "TooManyRequests",
    "Unauthorized",
    "ZatoException",
]


class ZatoException(ZatoLiteError):
    """Base of Zato's errors; ``msg`` describes the error."""

    def __init__(self, cid: Any = None, msg: Any = None) -> None:
        super().__init__(msg if msg is not None else cid)
        self.cid = cid
        self.msg = msg


class RuntimeInvocationError(ZatoException):
    """A service could not be invoked."""


class ClientSecurityException(ZatoException):
    """A client is not allowed to do this."""


class ConnectionException(ZatoException):
    """Another system cannot be reached."""


class TimeoutException(ConnectionException):
    """Another system did not answer in time."""


class ParsingException(ZatoException):
    """A message cannot be parsed."""


class NoDistributionFound(ZatoException):
    """A folder has no package."""

    def __init__(self, path: Any = None) -> None:
        super().__init__(None, f"no distribution in {path}")
        self.path = path


class ConnectorClosedException(Exception):
    """A connection was closed."""

    def __init__(self, exc: Any = None, message: str = "") -> None:
        super().__init__(message)
        self.inner_exc = exc


class IBMMQException(Exception):
    """An error of IBM MQ; nothing raises it here."""

    def __init__(self, message: str = "", *_: Any) -> None:
        super().__init__(message)
        self.message = message


class StatusAwareException(ZatoException):
    """An error with an HTTP status; ``msg`` is sent to the caller unless the status is 500."""

    def __init__(self, cid: Any = None, msg: Any = "", status: Any = None, *_: Any) -> None:
        super().__init__(cid, msg or cid or type(self).__name__)
        if status is not None:
            self.status = int(status)  # type: ignore[misc] # of this error, not of its class
        self.reason = HTTP_RESPONSES.get(self.status, "")


class HTTPException(StatusAwareException):
    """An error with an HTTP status; ``msg`` is sent to the caller."""


class _Fixed(HTTPException):
    """An error whose class has the status."""

    def __init__(self, cid: Any = None, msg: Any = "", *_: Any, **__: Any) -> None:
        super().__init__(cid, msg)


class BadRequest(BadInputError):
    """The request is not valid."""

    def __init__(self, cid: Any = None, msg: Any = "Bad request", *_: Any, **__: Any) -> None:
        super().__init__(str(msg))
        self.cid, self.msg = cid, msg


class PubSubSubscriptionExists(BadRequest):
    """An error of Zato's publish/subscribe; nothing raises it here."""


class Unauthorized(_Fixed, UnauthorizedError):
    """The caller must authenticate."""


class Forbidden(_Fixed, ForbiddenError):
    """The caller lacks a permission."""


class NotFound(_Fixed, NotFoundError):
    """The resource does not exist."""


class MethodNotAllowed(_Fixed, MethodNotAllowedError):
    """The resource does not allow this HTTP method."""


class Conflict(_Fixed, ConflictError):
    """The request conflicts with the current state."""


class TooManyRequests(_Fixed, TooManyRequestsError):
    """The caller has sent too many requests."""


class InternalServerError(_Fixed):
    """The server failed."""


class BackendInvocationError(_Fixed):
    """Another system answered with an error."""

    status = HTTPStatus.BAD_GATEWAY.value


class ServiceUnavailable(_Fixed, UnavailableError):
    """The server cannot handle the request at present."""


Reportable = ClientHTTPError = HTTPException
Inactive = ServiceInactiveError
ServiceMissingException = ServiceMissingError
