"""What a service receives and what it answers: ``self.request`` and ``self.response``."""

from collections.abc import Mapping
from typing import Any, Generic, cast

from typing_extensions import TypeVar

from zato_lite.errors import BadInputError, FieldError
from zato_lite.service.message import HttpContext, Invocation

In = TypeVar("In", default=Any)
Out = TypeVar("Out", default=Any)

_NOT_YET: Any = object()


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


class Request(Generic[In]):
    """What the service was invoked with.

    Attributes:
        payload: the message as values: a dictionary, a list, text, bytes, or None.
    """

    __slots__ = ("_http", "_input", "_invocation", "payload")

    def __init__(self, payload: Any, invocation: Invocation | None) -> None:
        self.payload = payload
        self._invocation = invocation
        self._input: Any = _NOT_YET
        self._http: Http | None = None

    @property
    def input(self) -> In:
        """The message as the declared type; without one, with attribute access."""
        if self._input is _NOT_YET:
            self._input = self._as_input()
        return cast("In", self._input)

    @input.setter  # noqa: A003 - Zato's name
    def input(self, value: In) -> None:
        self._input = value

    @property
    def raw_request(self) -> Any:
        """The untouched text or bytes behind the message, or the message if there is none."""
        if self._invocation is None or self._invocation.raw is None:
            return self.payload
        return self._invocation.raw

    raw = raw_request
    text = raw_request

    @property
    def http(self) -> Http:
        """The HTTP request behind it."""
        if self._http is None:
            self._http = Http(self._invocation.http if self._invocation else None)
        return self._http

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

    def _as_input(self) -> Any:
        if self.payload is None or self.payload == "":
            http = self._invocation.http if self._invocation else None
            if http is not None and (http.params or http.query):
                return Bunch({**http.query, **http.params})
            return Bunch()
        return as_bunch(self.payload)


class Response(Generic[Out]):
    """What the service answers.

    Attributes:
        payload: what the caller receives.
        status_code, headers, content_type: for HTTP; None and empty leave them to the edge.
        result, result_details, status_message, data_format: Zato's, kept for its services.
    """

    __slots__ = ("__dict__", "_headers", "content_type", "payload", "status_code")

    # Seldom set, and never by the framework: so they are no slots, and making one is cheap.
    status_message: str = "OK"
    result: str = "ZATO_OK"
    result_details: str = ""
    data_format: str = "json"

    def __init__(self, payload: Any = None) -> None:
        self.payload: Out = payload
        self.status_code: int | None = None
        self.content_type: str | None = None
        self._headers: dict[str, str] | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Headers to send besides the usual ones."""
        if self._headers is None:
            self._headers = {}
        return self._headers

    @property
    def sent_headers(self) -> Mapping[str, str] | None:
        """The headers that were set, or None if none was."""
        return self._headers
