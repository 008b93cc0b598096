"""Large payloads: encoded in parts, so that the event loop is held for milliseconds only."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from zato_lite.service.offload import offload
from zato_lite.wire import encode

PART = 250
"""Items of a list or a dictionary that are encoded, or freed, in one turn of the loop."""

TEXT_PART = 262_144
"""Letters of a text that are encoded in one turn: less than a millisecond."""

_DEPTH = 3
"""Levels of a payload at which a large part is looked for."""

Default = Callable[[Any], Any]


def is_large(payload: Any, depth: int = _DEPTH) -> bool:
    """Return True for a JSON payload with a list, dictionary or text that is encoded in parts."""
    kind = type(payload)
    if kind is dict:
        parts = payload.values()
    elif kind is list:
        parts = payload
    else:
        return kind is str and depth < _DEPTH and len(payload) > TEXT_PART
    if len(payload) > PART:
        return True
    if depth:
        for part in parts:
            if type(part) in _CONTAINERS and is_large(part, depth - 1):
                return True
    return False


_CONTAINERS = frozenset({dict, list, str})


async def encode_in_parts(payload: Any, default: Default, owner: str = "") -> bytes:
    """Return the JSON text of a payload, the same as ``encode`` makes."""
    pieces = [piece async for piece in _pieces(payload, default, _DEPTH)]
    return await offload(b"".join, pieces, owner=owner)  # joining releases the lock


async def _pieces(value: Any, default: Default, depth: int) -> AsyncIterator[bytes]:
    """Yield the JSON text of a value in pieces; others have turns between them."""
    if not is_large(value, depth):
        yield encode(value, default)
    elif type(value) is str:
        async for piece in _text_pieces(value):
            yield piece
    elif type(value) is list:
        async for piece in _list_pieces(value, default, depth):
            yield piece
    else:
        async for piece in _dict_pieces(value, default, depth):
            yield piece


async def _text_pieces(text: str) -> AsyncIterator[bytes]:
    yield b'"'
    for start in range(0, len(text), TEXT_PART):
        yield encode(text[start : start + TEXT_PART])[1:-1]
        await asyncio.sleep(0)
    yield b'"'


async def _list_pieces(items: list[Any], default: Default, depth: int) -> AsyncIterator[bytes]:
    separator = b"["
    for start in range(0, len(items), PART):
        part = items[start : start + PART]
        yield separator
        if depth and any(type(item) in _CONTAINERS and is_large(item, depth - 1) for item in part):
            between = b""
            for item in part:
                yield between
                async for piece in _pieces(item, default, depth - 1):
                    yield piece
                between = b","
        else:
            yield encode(part, default)[1:-1]
        separator = b","
        await asyncio.sleep(0)
    yield b"]" if separator == b"," else b"[]"


async def _dict_pieces(
    fields: dict[Any, Any], default: Default, depth: int
) -> AsyncIterator[bytes]:
    separator = b"{"
    for count, (key, value) in enumerate([*fields.items()], 1):
        if depth and type(value) in _CONTAINERS and is_large(value, depth - 1):
            yield separator + encode({key: 0}, default)[1:-2]
            async for piece in _pieces(value, default, depth - 1):
                yield piece
        else:
            yield separator + encode({key: value}, default)[1:-1]
        separator = b","
        if count % PART == 0:
            await asyncio.sleep(0)
    yield b"}" if separator == b"," else b"{}"
