"""Responses to bytes: pure."""

from email.utils import formatdate

from zato_lite.http.head import RefusedError
from zato_lite.http.message import JSON, LARGE, Request, Response

_MOST_HEADS = 1000
_SAFE = "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
_SAFE_DATA = (
    "Cache-Control: no-store\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
)
_PAGES = ("text/html", "text/css", "text/javascript", "image/", "font/")
"""What is shown by a browser says itself how long it may be kept and what it may load."""

_BODILESS = frozenset({204, 304})

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE = b"Connection: close\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_REASONS = {
    100: "Continue",
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    206: "Partial Content",
    301: "Moved Permanently",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    307: "Temporary Redirect",
    308: "Permanent Redirect",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Content Too Large",
    414: "URI Too Long",
    415: "Unsupported Media Type",
    417: "Expectation Failed",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
    505: "HTTP Version Not Supported",
}

CONNECTION = {
    (True, False): b"",  # keep alive, HTTP/1.0
    (True, True): b"Connection: keep-alive\r\n",
    (False, False): b"Connection: close\r\n",
    (False, True): b"Connection: close\r\n",
}


_OK = 200
_CID = b"X-Zato-CID: "
FEW = 2_000
LENGTHS = tuple(b"\r\nContent-Length: %d\r\n\r\n" % length for length in range(FEW))
"""What stands between a cid and a body, for all lengths below ``FEW``."""


def rest(response: Response, request: Request | RefusedError) -> bytes:
    """What is still to be sent after ``render``: a large body."""
    body = response.body
    if len(body) <= LARGE or response.status in _BODILESS:
        return b""
    return b"" if isinstance(request, Request) and request.method == "HEAD" else body


class Renderer:
    """Renders the responses of one second: what is the same in all of them is joined once.

    Attributes:
        usual: the head of a usual answer, up to the cid.
    """

    def __init__(self) -> None:
        self._date = b""
        self._heads: dict[tuple[int, str | None], bytes] = {}
        self.usual = b""

    def date(self, second: int) -> None:
        """From now on it is this second since 1970."""
        self._date = b"Date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        self._heads.clear()
        self.usual = self._head(Response(_OK, content_type=JSON)) + _CID

    def plain(self, response: Response) -> bytes:
        """The bytes of a response with nothing out of the ordinary."""
        body = response.body
        length = len(body)
        if response.headers or not 0 < length <= LARGE:
            return self.render(response, False, b"")
        if response.status in _BODILESS:
            return self.render(response, False, b"")
        head = self._heads.get((response.status, response.content_type)) or self._head(response)
        end = LENGTHS[length] if length < FEW else b"\r\nContent-Length: %d\r\n\r\n" % length
        return b"".join((head, _CID, response.cid.encode(), end, body))

    def render(self, response: Response, is_head: bool, connection: bytes) -> bytes:
        """The bytes of a response, or of its head alone if it is a stream or large."""
        more = connection
        if response.headers:
            lines = (f"{name}: {value}\r\n" for name, value in response.headers)
            more += "".join(lines).encode("latin-1")
        if response.cid:
            more += b"X-Zato-CID: %b\r\n" % response.cid.encode("ascii", "replace")
        head = self._head(response)
        if response.stream is not None or response.status in _BODILESS:
            return b"%b%b\r\n" % (head, more)
        body = response.body
        length = len(body)
        if is_head or length > LARGE:
            body = b""
        return b"%b%bContent-Length: %d\r\n\r\n%b" % (head, more, length, body)

    def _head(self, response: Response) -> bytes:
        status, content_type = response.status, response.content_type
        text = f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
        if content_type is not None:
            text += f"Content-Type: {content_type}\r\n"
        if content_type is None or not content_type.startswith(_PAGES):
            text += _SAFE_DATA
        head = (text + _SAFE).encode("latin-1") + self._date
        if len(self._heads) < _MOST_HEADS:
            self._heads[status, content_type] = head
        return head


def chunk(piece: bytes) -> bytes:
    """A piece of a stream, with its size before it."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
