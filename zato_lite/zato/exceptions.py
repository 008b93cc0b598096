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
    """Something went wrong; ``msg`` says what."""

    def __init__(self, cid: Any = None, msg: Any = None) -> None:
        super().__init__(msg if msg is not None else cid)
        self.cid = cid
        self.msg = msg


class HTTPException(ZatoException):
    """An error with an HTTP status; ``msg`` is what the caller is told."""

    def __init__(self, cid: Any = None, msg: Any = "", *_: Any, **__: Any) -> None:
        super().__init__(cid, msg or cid or type(self).__name__)


class BadRequest(BadInputError):
    """The caller sent something that cannot be used."""

    def __init__(self, cid: Any = None, msg: Any = "Bad request", *_: Any, **__: Any) -> None:
        super().__init__(str(msg))
        self.cid, self.msg = cid, msg


class Unauthorized(HTTPException, UnauthorizedError):
    """The caller must say who it is."""


class Forbidden(HTTPException, ForbiddenError):
    """The caller may not do this."""


class NotFound(HTTPException, NotFoundError):
    """There is no such thing."""


class MethodNotAllowed(HTTPException, MethodNotAllowedError):
    """Not by this HTTP method."""


class Conflict(HTTPException, ConflictError):
    """It contradicts what is there."""


class TooManyRequests(HTTPException, TooManyRequestsError):
    """Too often."""


class InternalServerError(HTTPException):
    """Something is wrong on this side."""


class ServiceUnavailable(HTTPException, UnavailableError):
    """Not now."""


Reportable = HTTPException
Inactive = ServiceInactiveError
ServiceMissingException = ServiceMissingError
