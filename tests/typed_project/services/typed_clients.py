"""Connections, the shared cache and cryptography, in async and blocking services."""

from typing import Any, assert_type

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from zato_lite import BlockingService, RestResponse, Service, SMTPMessage


class Customer(msgspec.Struct):
    name: str


class Typed(Service[Customer, dict[str, Any]]):
    async def handle(self) -> None:
        response = await self.out.rest["crm"].get("/customers/{id}", params={"id": 7})
        assert_type(response, RestResponse)
        assert_type(response.json(Customer), Customer)
        assert_type(response.json(), Any)
        _ = await self.out.rest["crm"].post("/customers", self.request.input, timeout=5)
        assert_type(await self.out.sql["db"].one("SELECT 1"), dict[str, Any])
        assert_type(await self.out.sql["db"].all("SELECT 1", a=1), list[dict[str, Any]])
        assert_type(await self.out.sql["db"].execute("DELETE FROM a"), int)
        assert_type(self.out.sql["db"].session(), AsyncSession)
        await self.out.smtp["mail"].send(SMTPMessage("ann@example.com", "subject", "body"))
        assert_type(await self.cache.default.delete("key"), bool)
        assert_type(await self.cache.get_cache("crm").get_by_prefix("a"), dict[str, Any])
        assert_type(await self.crypto.hash("secret"), str)
        assert_type(self.crypto.encrypt("text"), str)


class TypedBlocking(BlockingService[Customer, dict[str, Any]]):
    def handle(self) -> None:
        response = self.out.rest["crm"].get("/customers/{id}", params={"id": 7})
        assert_type(response, RestResponse)
        assert_type(self.out.sql["db"].one_or_none("SELECT 1"), dict[str, Any] | None)
        assert_type(self.out.sql["db"].session(), Session)
        self.out.smtp["mail"].send(SMTPMessage("ann@example.com", "subject", "body"))
        assert_type(self.cache.default.keys("a"), list[str])
        assert_type(self.crypto.verify("secret", "hash"), bool)
