"""Response writer: renders responses and sends them at the pace of the client."""

import asyncio
import logging
from collections.abc import AsyncIterator
from email.utils import formatdate
from http import HTTPStatus

from zato_lite.http.head import RefusedError
from zato_lite.http.message import EVENTS, JSON, LARGE, Request, Response, close_stream
from zato_lite.http.parser import ParsedRequest
from zato_lite.wire import encode

_MAX_HEADS = 1000
_SAFE = "X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n"
_SAFE_DATA = (
    "Cache-Control: no-store\r\n"
    "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n"
)
_PAGES = ("text/html", "text/css", "text/javascript", "image/", "font/")
"""Types that a browser shows: their routes set caching and content policy themselves."""

_BODILESS = frozenset({204, 304})
_TURN = 64
"""Pieces of a stream that are sent before other connections get their turn."""

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CLOSE = b"Connection: close\r\n"
_CHUNKED = b"Transfer-Encoding: chunked\r\n"
_LAST_CHUNK = b"0\r\n\r\n"

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_CONNECTION = {
    (True, False): b"",  # keep alive, HTTP/1.0
    (True, True): b"Connection: keep-alive\r\n",
    (False, False): _CLOSE,
    (False, True): _CLOSE,
}

_OK = 200
_CID = b"X-Zato-CID: "

SHORT = 2_000
LENGTH_FIELDS = tuple(b"\r\nContent-Length: %d\r\n\r\n" % length for length in range(SHORT))
"""The bytes between a correlation id and a body, for each length below ``SHORT``."""

_log = logging.getLogger(__name__)


class Renderer:
    """Renders the responses of one second; the parts that are equal in all are joined once.

    Attributes:
        fast_head: the head of a fast response, up to the correlation id.
    """

    def __init__(self) -> None:
        self._date = b""
        self._heads: dict[tuple[int, str | None], bytes] = {}
        self.fast_head = b""

    def set_time(self, second: int) -> None:
        """Set the time of the following responses, in seconds since 1970."""
        self._date = b"Date: " + formatdate(second, usegmt=True).encode() + b"\r\n"
        self._heads.clear()
        self.fast_head = self._head(Response(_OK, content_type=JSON)) + _CID

    def render_plain(self, response: Response) -> bytes:
        """Return the bytes of a response on a connection that stays open."""
        body = response.body
        length = len(body)
        if response.headers or not 0 < length <= LARGE or response.status in _BODILESS:
            return self.render(response, False, b"")
        head = self._heads.get((response.status, response.content_type)) or self._head(response)
        end = LENGTH_FIELDS[length] if length < SHORT else _length_field(length)
        return b"".join((head, _CID, response.cid.encode(), end, body))

    def render(self, response: Response, is_head: bool, connection: bytes) -> bytes:
        """Return the bytes of a response; only those of its head if it is a stream or large."""
        more = connection
        if response.headers:
            lines = (f"{name}: {value}\r\n" for name, value in response.headers)
            more += "".join(lines).encode("latin-1")
        if response.cid:
            more += b"X-Zato-CID: %b\r\n" % response.cid.encode("ascii", "replace")
        head = self._head(response)
        if response.stream is not None or response.status in _BODILESS:
            if response.length is not None:
                more += b"Content-Length: %d\r\n" % response.length
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
        is_file = response.length is not None
        if not is_file and (content_type is None or not content_type.startswith(_PAGES)):
            text += _SAFE_DATA
        head = (text + _SAFE).encode("latin-1") + self._date
        if len(self._heads) < _MAX_HEADS and not is_file:
            self._heads[status, content_type] = head
        return head


class ResponseWriter:
    """Sends the responses of one connection, and waits for a client that reads slowly.

    Attributes:
        drained: a future that is done when the client has caught up; None if it keeps pace.
        is_streaming: a stream is being sent.
        is_endless: it is one of events, which may end at any time: its client comes back.
        stalled_since: monotonic seconds when the client stopped reading, or last made progress.
    """

    __slots__ = (
        "_loop",
        "_renderer",
        "_transport",
        "_unsent",
        "drained",
        "is_endless",
        "is_streaming",
        "stalled_since",
    )

    def __init__(
        self, transport: asyncio.Transport, renderer: Renderer, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._transport, self._renderer, self._loop = transport, renderer, loop
        self.drained: asyncio.Future[None] | None = None
        self.is_streaming = self.is_endless = False
        self.stalled_since = 0.0
        self._unsent = 0

    @property
    def sent(self) -> int:
        """Bytes that the client has read since ``stalled_since``."""
        return self._unsent - self._transport.get_write_buffer_size()

    def pause(self, now: float) -> None:
        """Send no more until the client has caught up."""
        self.drained = self._loop.create_future()
        self.restart_clock(now)

    def restart_clock(self, now: float) -> None:
        """Measure the client's progress from now on."""
        self.stalled_since = now
        self._unsent = self._transport.get_write_buffer_size()

    def resume(self) -> None:
        """Continue sending."""
        drained, self.drained = self.drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    def send_continue(self) -> None:
        """Ask the client for the body that it holds back."""
        self._transport.write(_CONTINUE)

    def refuse(self, refused: RefusedError, cid: str = "") -> None:
        """Send a refusal."""
        body = encode({"result": "Error", "cid": cid, "details": refused.details})
        response = Response(refused.status, body, headers=refused.headers, cid=cid)
        self._transport.write(self._renderer.render(response, False, _CLOSE))

    def send(self, parsed: ParsedRequest, response: Response, keep_alive: bool) -> None:
        """Send a response; of a large one only the head, before ``send_large_body``."""
        is_old, is_head = parsed.is_old, _is_head(parsed)
        if keep_alive and not is_old and not is_head:
            data = self._renderer.render_plain(response)
        else:
            data = self._renderer.render(response, is_head, _CONNECTION[keep_alive, is_old])
        self._transport.write(data)

    async def send_large_body(self, parsed: ParsedRequest, response: Response) -> None:
        """Send a large body in slices, so that other connections get their turns in between."""
        body = response.body
        if len(body) <= LARGE or response.status in _BODILESS or _is_head(parsed):
            return
        view = memoryview(body)
        for start in range(0, len(view), LARGE):
            if self.drained is not None:
                await self.drained
            if self._transport.is_closing():
                return
            self._transport.write(view[start : start + LARGE])
            await asyncio.sleep(0)

    async def send_stream(
        self,
        parsed: ParsedRequest,
        response: Response,
        stream: AsyncIterator[bytes],
        keep_alive: bool,
    ) -> bool:
        """Send the pieces of a stream; return True if the connection stays open.

        If they do not come to their end, the connection is broken off, so that the client does not
        take a part for the whole.
        """
        request, _, is_old = parsed
        if self._transport.is_closing():
            await close_stream(stream)
            return False
        is_plain = is_old or response.length is not None  # sent without the framing of chunks
        keep_alive = keep_alive and (not is_old or response.length is not None)
        is_head = _is_head(parsed)
        connection = _CONNECTION[keep_alive, is_old] + (b"" if is_plain else _CHUNKED)
        self._transport.write(self._renderer.render(response, is_head, connection))
        self.is_endless = (response.content_type or "").startswith(EVENTS)
        self.is_streaming, is_whole = True, is_head
        try:
            if not is_head:
                sent = await self._send_pieces(stream, is_plain)
                is_whole = response.length in {None, sent}
        except asyncio.CancelledError:
            # the client has left, or the server shuts down
            keep_alive, is_whole = False, self.is_endless
        except Exception:  # noqa: BLE001 - the last resort; the log has the error
            _log.exception("stream failed", extra={"request": repr(request)})
        finally:
            self.is_streaming = self.is_endless = False
            await close_stream(stream)
        if not is_whole:
            self._transport.abort()
            return False
        # uvloop refuses to write to a connection that the client has closed.
        if not is_plain and not is_head and not self._transport.is_closing():
            self._transport.write(_LAST_CHUNK)
        return keep_alive

    async def _send_pieces(self, stream: AsyncIterator[bytes], is_plain: bool) -> int:
        """Return the number of the bytes in the pieces."""
        write, total, sent, count = self._transport.write, 0, 0, 0
        async for piece in stream:
            if piece:
                write(piece if is_plain else b"%x\r\n%b\r\n" % (len(piece), piece))
            sent, total = sent + len(piece), total + len(piece)
            count += 1
            if self.drained is not None:
                await self.drained
            elif sent >= LARGE or count >= _TURN:
                sent = count = 0
                await asyncio.sleep(0)  # a stream need not wait between its pieces
        return total


def _length_field(length: int) -> bytes:
    return b"\r\nContent-Length: %d\r\n\r\n" % length


def _is_head(parsed: ParsedRequest) -> bool:
    request = parsed.request
    return isinstance(request, Request) and request.method == "HEAD"
