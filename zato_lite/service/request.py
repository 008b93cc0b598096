"""What a service receives and what it answers: ``self.request`` and ``self.response``."""

from collections.abc import Mapping
from typing import Any, Generic, cast

import msgspec
from typing_extensions import TypeVar

from zato_lite.errors import BadInputError, FieldError
from zato_lite.service.message import HttpContext, Invocation

In = TypeVar("In", default=Any)
Out = TypeVar("Out", default=Any)


class MissingInputError(BadInputError, AttributeError):
    """The service asked for an element of its input that the caller did not send."""

    @classmethod
    def named(cls, element: str) -> "MissingInputError":
        """The error for one element."""
        message = f"Missing required input element: {element}"
        return cls(message, [FieldError(element, None, message)])


class Bunch(dict[str, Any]):
    """A dictionary whose keys can be read and set as attributes, all the way down."""

    def __getattr__(self, name: str) -> Any:
        try:
            value = self[name]
        except KeyError:
            raise MissingInputError.named(name) from None
        wrapped = as_bunch(value)
        if wrapped is not value:
            self[name] = wrapped
        return wrapped

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise MissingInputError.named(name) from None


def as_bunch(value: Any) -> Any:
    """The value with attribute access where it is a dictionary or a list of them."""
    if type(value) is dict:
        return Bunch(value)
    if type(value) is list and any(type(item) is dict for item in value):
        return [as_bunch(item) for item in value]
    return value


class Http:
    """The HTTP request behind an invocation; empty when there is none."""

    __slots__ = ("_context", "headers", "method", "params", "path")

    def __init__(self, context: HttpContext | None) -> None:
        self._context = context
        self.method = context.method if context else ""
        self.path = context.path if context else ""
        self.params = Bunch(context.params) if context else Bunch()
        self.headers: Mapping[str, str] = context.headers if context else {}

    @property
    def GET(self) -> Bunch:  # noqa: N802 - Zato's name
        """The query string's parameters."""
        return Bunch(self._context.query) if self._context else Bunch()

    @property
    def user_agent(self) -> str:
        """What the client says it is."""
        return self.headers.get("user-agent", "")

    @property
    def remote_address(self) -> str:
        """Where the request came from."""
        return self._context.remote_address if self._context else ""


class Request(msgspec.Struct, Generic[In]):
    """What the service was invoked with.

    Attributes:
        input: the message as the declared type; without one, with attribute access.
        payload: the message as values: a dictionary, a list, text, bytes, or None.
        invocation: the one from outside that it came with, or None.
        known_http: ``http``, once it was asked for.
    """

    input: In
    payload: Any
    invocation: Invocation | None
    known_http: Http | None = None

    @classmethod
    def of(cls, payload: Any, invocation: Invocation | None) -> "Request[Any]":
        """The request of a service that declares no input."""
        return Request(input_of(payload, invocation), payload, invocation)

    @property
    def raw_request(self) -> Any:
        """The untouched text or bytes behind the message, or the message if there is none."""
        if self.invocation is None or self.invocation.raw is None:
            return self.payload
        return self.invocation.raw

    raw = raw_request
    text = raw_request

    @property
    def http(self) -> Http:
        """The HTTP request behind it."""
        if self.known_http is None:
            self.known_http = Http(self.invocation.http if self.invocation else None)
        return self.known_http

    @property
    def headers(self) -> Mapping[str, str]:
        """The HTTP request's headers; names in lower case."""
        return self.http.headers

    @property
    def params(self) -> Bunch:
        """What the path of a REST channel captured."""
        return self.http.params

    channel_params = params

    def to_bunch(self) -> Any:
        """The message with attribute access."""
        return as_bunch(self.payload)

    bunchified = to_bunch


def input_of(payload: Any, invocation: Invocation | None) -> Any:
    """The message with attribute access; without one, what the HTTP request's URL says."""
    if payload is None or payload == "":
        http = invocation.http if invocation is not None else None
        if http is not None and (http.params or http.query):
            return Bunch({**http.query, **http.params})
        return Bunch()
    return as_bunch(payload)


class Response(msgspec.Struct, Generic[Out]):
    """What the service answers.

    Attributes:
        payload: what the caller receives.
        status_code, content_type: for HTTP; None leaves them to the edge.
        sent_headers: the headers that were set, or None if none was.
        result, result_details, status_message, data_format: Zato's, kept for its services.
    """

    payload: Out = cast("Out", None)
    status_code: int | None = None
    content_type: str | None = None
    sent_headers: dict[str, str] | None = None
    status_message: str = "OK"
    result: str = "ZATO_OK"
    result_details: str = ""
    data_format: str = "json"

    @property
    def headers(self) -> dict[str, str]:
        """Headers to send besides the usual ones."""
        if self.sent_headers is None:
            self.sent_headers = {}
        return self.sent_headers
