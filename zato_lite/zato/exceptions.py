"""Zato's exceptions: ours, under its names and built the way its services build them."""

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


class ZatoException(ZatoLiteError):
    """Base of Zato's errors; ``msg`` describes the error."""

    def __init__(self, cid: Any = None, msg: Any = None) -> None:
        super().__init__(msg if msg is not None else cid)
        self.cid = cid
        self.msg = msg


class HTTPException(ZatoException):
    """An error with an HTTP status; ``msg`` is sent to the caller."""

    def __init__(self, cid: Any = None, msg: Any = "", *_: Any, **__: Any) -> None:
        super().__init__(cid, msg or cid or type(self).__name__)


class BadRequest(BadInputError):
    """The request is not valid."""

    def __init__(self, cid: Any = None, msg: Any = "Bad request", *_: Any, **__: Any) -> None:
        super().__init__(str(msg))
        self.cid, self.msg = cid, msg


class Unauthorized(HTTPException, UnauthorizedError):
    """The caller must authenticate."""


class Forbidden(HTTPException, ForbiddenError):
    """The caller lacks a permission."""


class NotFound(HTTPException, NotFoundError):
    """The resource does not exist."""


class MethodNotAllowed(HTTPException, MethodNotAllowedError):
    """The resource does not allow this HTTP method."""


class Conflict(HTTPException, ConflictError):
    """The request conflicts with the current state."""


class TooManyRequests(HTTPException, TooManyRequestsError):
    """The caller has sent too many requests."""


class InternalServerError(HTTPException):
    """The server failed."""


class ServiceUnavailable(HTTPException, UnavailableError):
    """The server cannot handle the request at present."""


Reportable = HTTPException
Inactive = ServiceInactiveError
ServiceMissingException = ServiceMissingError
