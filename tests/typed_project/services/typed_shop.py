"""Typed parameters, streams, files and uploads."""

import datetime as dt
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, assert_type

import msgspec

from zato_lite import (
    Answer,
    Body,
    BodyLimits,
    Cookie,
    Event,
    FileAnswer,
    Header,
    Query,
    Service,
    UploadedFile,
)


class Search(msgspec.Struct):
    customer: uuid.UUID
    since: dt.date
    at_least: Decimal = Decimal(0)
    tags: list[str] = []
    sort: Annotated[Literal["id", "date"], Query("order")] = "id"
    token: Annotated[str, Header("X-Token")] = ""
    theme: Annotated[str, Cookie()] = "light"


class Row(msgspec.Struct):
    number: int


class Rows(Service[Search, AsyncIterator[Row]]):
    rest = "GET /customers/{customer}/rows"

    async def handle(self) -> AsyncIterator[Row]:
        assert_type(self.request.input.tags, list[str])
        assert_type(self.request.input.sort, Literal["id", "date"])
        for number in range(3):
            yield Row(number)


class Sum(Service[None, int]):
    async def handle(self) -> None:
        rows = await self.invoke(Rows, customer=uuid.uuid4(), since=dt.date(2026, 1, 1))
        assert_type(rows, AsyncIterator[Row])
        self.response.payload = sum([row.number async for row in rows])


class Ticks(Service):
    answers = {200: Answer("Ticks", headers={"X-Kind": "Their kind"})}  # noqa: RUF012 - read only

    async def handle(self) -> AsyncIterator[Event]:
        self.response.headers["X-Kind"] = "clock"
        yield Event({"number": 1}, event="tick")


class Photo(msgspec.Struct):
    title: str
    image: UploadedFile
    more: list[UploadedFile] = []


class Album(Service[Photo, FileAnswer]):
    rest = "POST /albums/{title}"
    body_limits = BodyLimits(size=50_000_000, files=5)

    async def handle(self) -> None:
        image = self.request.input.image
        assert_type(image.path, Path)
        assert_type(await image.read(), bytes)
        await image.save("photo.png")
        self.response.payload = FileAnswer("photo.png", name=image.name)


class Lines(msgspec.Struct):
    lines: Annotated[list[Row], Body()]


class Import(Service[Lines, Row]):
    async def handle(self) -> Row:
        return Row(len(self.request.input.lines))


class Raw(Service):
    body_limits = BodyLimits(is_streamed=True)

    async def handle(self) -> dict[str, int]:
        size = 0
        async for piece in self.request.stream:
            assert_type(piece, bytes)
            size += len(piece)
        return {"size": size}
