"""``self.request`` and ``self.response`` of a service."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Generic, cast

import msgspec
from typing_extensions import TypeVar

from zato_lite.errors import BadInputError
from zato_lite.log import invocation_context
from zato_lite.service.attribute_dict import Message, as_message
from zato_lite.service.binding import merged
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
        """Return the query string's parameters."""
        return Message(self._context.query) if self._context else Message()

    @property
    def POST(self) -> Message:  # noqa: N802 - Zato's name
        """Return the fields of a posted form; empty for any other body."""
        payload = self._request.payload
        is_form = self.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM
        return Message(payload) if is_form and isinstance(payload, dict) else Message()

    def get_form_data(self) -> Message:
        """Return the fields of a posted form, as ``POST`` does."""
        return self.POST

    @property
    def user_agent(self) -> str:
        """Return the ``User-Agent`` header."""
        return self.headers.get("user-agent", "")

    @property
    def remote_address(self) -> str:
        """Return the client's address."""
        return self._context.remote_address if self._context else ""


class Request(msgspec.Struct, Generic[In]):
    """The message that a service was invoked with.

    Attributes:
        input: the message as the declared type; without one, with attribute access.
        payload: the message as values: a dictionary, a list, text, bytes, or None.
        invocation: the invocation from outside that it belongs to, or None.
        cached_http: ``http`` after its first use.
    """

    input: In
    payload: Any
    invocation: Invocation | None
    cached_http: Http | None = None

    @classmethod
    def of(cls, payload: Any, invocation: Invocation | None) -> "Request[Any]":
        """Create the request of a service that declares no input."""
        return Request(input_of(payload, invocation), payload, invocation)

    @property
    def raw_request(self) -> Any:
        """Return the original text or bytes of the message, or the message if it has none."""
        if self.invocation is None or self.invocation.raw is None:
            return self.payload
        return self.invocation.raw

    raw = raw_request
    text = raw_request

    @property
    def http(self) -> Http:
        """Return the HTTP request behind the message."""
        if self.cached_http is None:
            self.cached_http = Http(self.invocation.http if self.invocation else None, self)
        return self.cached_http

    @property
    def cid(self) -> str:
        """Return the correlation id, that of the service."""
        invocation = self.invocation or invocation_context.get()
        return invocation.cid if invocation is not None else ""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the HTTP request's headers; names are in lower case."""
        return self.http.headers

    @property
    def params(self) -> Message:
        """Return the parameters in the path of a REST channel."""
        return self.http.params

    channel_params = params

    @property
    def stream(self) -> AsyncIterator[bytes]:
        """Return the body, for ``async for piece in self.request.stream``, while it arrives.

        Of another invocation than by HTTP, it is the whole message.

        Raises:
            BadInputError: the message is not bytes or text.
        """
        if self.invocation is not None and self.invocation.body is not None:
            return self.invocation.body
        data = self.raw_request
        if data is not None and not isinstance(data, str | bytes):
            raise BadInputError(
                "service reads its input as a stream; send bytes or text, not "
                f"{type(data).__name__}"
            )
        return _whole(data.encode() if isinstance(data, str) else data)

    def to_bunch(self) -> Any:
        """Return the message with attribute access."""
        return as_message(self.payload)

    bunchified = to_bunch


async def _whole(data: bytes | None) -> AsyncIterator[bytes]:
    if data:
        yield data


def input_of(payload: Any, invocation: Invocation | None) -> Any:
    """Return the message with attribute access, with the parameters of the URL."""
    http = invocation.http if invocation is not None else None
    if http is not None and (http.params or http.query):
        payload = merged(payload, http)
    return Message() if payload is None or payload == "" else as_message(payload)


class PayloadBuilder:
    """Base of response payloads that a service sets part by part."""

    __slots__ = ()

    def value(self) -> Any:
        """Return the payload that was set, or None."""
        raise NotImplementedError


class Response(msgspec.Struct, Generic[Out]):
    """The answer of a service.

    Attributes:
        payload: the payload for the caller.
        status_code, content_type: for HTTP; None for the default.
        sent_headers: the headers that were set, or None.
        result, result_details, status_message, data_format: for Zato's services.
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
        """Return the additional HTTP headers."""
        if self.sent_headers is None:
            self.sent_headers = {}
        return self.sent_headers

    @headers.setter
    def headers(self, headers: Mapping[str, str]) -> None:
        self.sent_headers = {**headers}
