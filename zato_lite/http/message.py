"""Requests and responses as plain values, independent of their bytes."""

from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from typing import Any

import msgspec

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BYTES = "application/octet-stream"
LINES = "application/x-ndjson"
EVENTS = "text/event-stream"

LARGE = 65_536
"""A body beyond this many bytes is sent apart from its head, since joining would copy it."""


class Headers(Mapping[str, str]):
    """Header fields by lower-case name, decoded when they are read."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower().encode("latin-1", "replace")].decode("latin-1")

    def __contains__(self, name: object) -> bool:
        return str(name).lower().encode("latin-1", "replace") in self._fields

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"


class Request(msgspec.Struct, eq=False):
    """A complete request.

    Attributes:
        method: in upper case.
        path: percent-decoded, from the first slash to the question mark.
        query: the text after the question mark, as it was sent.
        headers: fields by lower-case name.
        remote_address: address of the client, or of the one behind trusted proxies.
        raw_path: the path as it was sent.
        is_secure: the request came over TLS.
        memo: a value that the application keeps for the next request with an equal head.
        stream: the body, if it is read while it arrives; then ``body`` is empty.
    """

    method: str
    path: str
    query: bytes = b""
    headers: dict[bytes, bytes] = msgspec.field(default_factory=dict)
    body: bytes = b""
    remote_address: str = ""
    raw_path: str = ""
    is_secure: bool = False
    memo: Any = None
    stream: Any = None

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"


class Response(msgspec.Struct, eq=False):
    """A response.

    Attributes:
        content_type: None for a response without a body.
        headers: further fields; names as they are sent.
        cid: sent as ``X-Zato-CID``.
        stream: pieces that are sent as they come, in place of ``body``.
        length: bytes of the stream, if they are known: it is a file.
    """

    status: int = 200
    body: bytes = b""
    content_type: str | None = JSON
    headers: tuple[tuple[str, str], ...] = ()
    cid: str = ""
    stream: AsyncIterator[bytes] | None = None
    length: int | None = None


FastResponse = tuple[bytes, str]
"""Body and correlation id of an ordinary response: 200, JSON, without further fields."""


def to_response(fast: FastResponse) -> Response:
    """Return a fast response as a response."""
    body, cid = fast
    return Response(200, body, JSON, (), cid)


async def await_response(
    answer: FastResponse | Response | Coroutine[Any, Any, Response],
) -> Response:
    """Return any kind of answer as a response."""
    if isinstance(answer, tuple):
        return to_response(answer)
    return answer if isinstance(answer, Response) else await answer


async def close_stream(stream: AsyncIterator[bytes]) -> None:
    """End a stream, so that what it holds is free."""
    if (close := getattr(stream, "aclose", None)) is not None:
        await close()
