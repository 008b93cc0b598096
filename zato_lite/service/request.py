"""What a service receives and what it answers: ``self.request`` and ``self.response``."""

from collections.abc import Mapping
from typing import Any, Generic, cast

import msgspec
from typing_extensions import TypeVar

from zato_lite.service.bunch import Message, as_message
from zato_lite.service.message import HttpContext, Invocation

In = TypeVar("In", default=Any)
Out = TypeVar("Out", default=Any)

_FORM = "application/x-www-form-urlencoded"


class Http:
    """The HTTP request behind an invocation; empty when there is none."""

    __slots__ = ("_context", "_request", "headers", "method", "params", "path")

    def __init__(self, context: HttpContext | None, request: "Request[Any]") -> None:
        self._context = context
        self._request = request
        self.method = context.method if context else ""
        self.path = context.path if context else ""
        self.params = Message(context.params) if context else Message()
        self.headers: Mapping[str, str] = context.headers if context else {}

    @property
    def GET(self) -> Message:  # noqa: N802 - Zato's name
        """The query string's parameters."""
        return Message(self._context.query) if self._context else Message()

    @property
    def POST(self) -> Message:  # noqa: N802 - Zato's name
        """The fields of a form that was posted; empty if the body is none."""
        payload = self._request.payload
        is_form = self.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
        return Message(payload) if is_form and isinstance(payload, dict) else Message()

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
            self.known_http = Http(self.invocation.http if self.invocation else None, self)
        return self.known_http

    @property
    def headers(self) -> Mapping[str, str]:
        """The HTTP request's headers; names in lower case."""
        return self.http.headers

    @property
    def params(self) -> Message:
        """What the path of a REST channel captured."""
        return self.http.params

    channel_params = params

    def to_bunch(self) -> Any:
        """The message with attribute access."""
        return as_message(self.payload)

    bunchified = to_bunch


def input_of(payload: Any, invocation: Invocation | None) -> Any:
    """The message with attribute access; without one, what the HTTP request's URL says."""
    if payload is None or payload == "":
        http = invocation.http if invocation is not None else None
        if http is not None and (http.params or http.query):
            return Message({**http.query, **http.params})
        return Message()
    return as_message(payload)


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
