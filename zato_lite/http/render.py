"""Responses to bytes: pure."""

from zato_lite.http.message import Response

_MOST_HEADS = 1000
_SAFE = "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"
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

_heads: dict[tuple[int, str | None], bytes] = {}


def render(
    response: Response, date: bytes, is_head: bool = False, connection: bytes = b""
) -> bytes:
    """The bytes of a response, or of its head alone if it is a stream."""
    key = (response.status, response.content_type)
    head = _heads.get(key) or _head(*key)
    more = b""
    if response.headers:
        more = b"".join(
            f"{name}: {value}\r\n".encode("latin-1") for name, value in response.headers
        )
    if response.cid:
        more += b"X-Zato-CID: %b\r\n" % response.cid.encode("ascii", "replace")
    if response.stream is not None:
        return b"%b%b%b%b\r\n" % (head, date, more, connection)
    if response.status in _BODILESS:
        return b"%b%b%b%b\r\n" % (head, date, more, connection)
    body = response.body
    length = len(body)
    if is_head:
        body = b""
    return b"%b%b%b%bContent-Length: %d\r\n\r\n%b" % (head, date, more, connection, length, body)


def _head(status: int, content_type: str | None) -> bytes:
    text = f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
    if content_type is not None:
        text += f"Content-Type: {content_type}\r\n"
    head = (text + _SAFE).encode("latin-1")
    if len(_heads) < _MOST_HEADS:
        _heads[status, content_type] = head
    return head


def chunk(piece: bytes) -> bytes:
    """A piece of a stream, with its size before it."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)
