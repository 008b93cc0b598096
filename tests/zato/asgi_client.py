"""Requests of the admin to an application in the same process."""

import asyncio
from base64 import b64encode
from typing import Any

PASSWORD = "of-a-moment"  # noqa: S105 - of servers that live for a moment

_TOKEN = b64encode(f"admin.invoke:{PASSWORD}".encode())


async def request(
    app: Any,
    method: str,
    path: str,
    body: bytes = b"",
    kind: str = "application/json",
    *,
    headers: dict[str, str] | None = None,
) -> tuple[int, bytes]:
    """Send a request to an ASGI application; return the status and the body."""
    fields = {"host": "localhost", "content-type": kind, **(headers or {})}
    lines = [(name.encode(), value.encode()) for name, value in fields.items()]
    sent: list[Any] = []
    arriving = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return arriving.pop() if arriving else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"authorization", b"Basic " + _TOKEN), *lines],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
        "server": ("127.0.0.1", 80),
        "http_version": "1.1",
    }
    await app(scope, receive, send)
    return sent[0]["status"], b"".join(each.get("body", b"") for each in sent[1:])
