"""The envelope of ``/zato/admin/invoke``: what Zato's own clients send and read. Pure."""

from base64 import b64decode, b64encode
from typing import Annotated, Any

import msgspec

from zato_lite.errors import BadInputError
from zato_lite.http.message import Response
from zato_lite.wire import decode, decode_strict, encode


class Envelope(msgspec.Struct):
    """What is to be invoked; the payload is JSON or text in base64.

    Attributes:
        timeout: seconds that it may take, up to a year; 0 for no limit.
    """

    name: str
    payload: str | None = None
    is_async: bool = False
    timeout: Annotated[float, msgspec.Meta(ge=0, le=31_622_400)] | None = None


def opened(body: bytes) -> tuple[Envelope, Any, bytes | None]:
    """The envelope of a request's body, the payload in it, and the bytes behind the payload.

    Raises:
        BadInputError: it is none, or what is in it is not base64.
    """
    try:
        envelope = msgspec.convert(decode_strict(body), Envelope)
        raw = b64decode(envelope.payload or "", validate=True)
    except (msgspec.ValidationError, ValueError) as error:
        raise BadInputError(f"not an envelope: {error}") from error
    if not raw:
        return envelope, None, None
    try:
        return envelope, decode_strict(raw), raw
    except BadInputError:
        return envelope, raw.decode("utf-8", "replace"), raw


def closed(response: Response) -> Response:
    """The response in an envelope of its own."""
    answer: dict[str, Any] = {
        "zato_env": {"result": "ZATO_OK", "cid": response.cid, "details": ""},
        "response": b64encode(response.body).decode(),
    }
    is_error = response.status >= 400  # noqa: PLR2004 - as the RFC has it
    if is_error:
        told = _told(response.body)
        answer = {"zato_env": {"cid": response.cid, **told, "result": "ZATO_ERROR"}, **told}
    return Response(response.status, encode(answer), cid=response.cid, headers=response.headers)


def _told(body: bytes) -> dict[str, Any]:
    """What an error says: an object if it is ours, anything if a service chose the status."""
    try:
        told = decode(body)
    except BadInputError:
        told = body.decode("utf-8", "replace")
    return told if isinstance(told, dict) else {"details": told}
