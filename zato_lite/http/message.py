"""A request and a response as plain values, whoever reads and writes their bytes."""

from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from typing import Any

import msgspec

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

LARGE = 65_536
"""A body beyond this many bytes is sent by itself: joining it to its head would copy it."""


class Headers(Mapping[str, str]):
    """Header fields by lower-case name, made into text when they are looked at."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Mapping[bytes, bytes]) -> None:
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower().encode("latin-1", "replace")].decode("latin-1")

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self)}>"


class Request(msgspec.Struct, eq=False):
    """One request, complete.

    Attributes:
        method: in upper case.
        path: percent-decoded, from the first slash to the question mark.
        query: what follows the question mark, as it was sent.
        headers: fields by lower-case name.
        remote_address: the client's, seen through trusted proxies.
        raw_path: the path as it was sent.
        is_secure: it came over TLS.
        memo: what the application found out about this head; the next request of the connection
            that has the very same head brings it along.
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

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.path}>"


class Response(msgspec.Struct, eq=False):
    """What is answered.

    Attributes:
        content_type: None for a response without a body.
        headers: further fields, names as they are sent.
        cid: sent as ``X-Zato-CID``.
        stream: instead of ``body``, pieces that are sent as they come.
    """

    status: int = 200
    body: bytes = b""
    content_type: str | None = JSON
    headers: tuple[tuple[str, str], ...] = ()
    cid: str = ""
    stream: AsyncIterator[bytes] | None = None


FastResponse = tuple[bytes, str]
"""The body and the cid of a usual answer: 200, with JSON, and nothing besides."""


def response_of_usual(usual: FastResponse) -> Response:
    """The same as a response."""
    body, cid = usual
    return Response(200, body, JSON, (), cid)


async def answer_of(answer: FastResponse | Response | Coroutine[Any, Any, Response]) -> Response:
    """What is answered at once or later, usual or not, as a response."""
    if isinstance(answer, tuple):
        return response_of_usual(answer)
    return answer if isinstance(answer, Response) else await answer
