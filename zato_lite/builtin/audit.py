"""Service that reads the audit log."""

from typing import Annotated, TypedDict

from msgspec import Meta

from zato_lite.builtin.input import Input, Page
from zato_lite.builtin.output import build, iso
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.store.audit import AuditLog


class AuditPage(Input, forbid_unknown_fields=True):
    """A page of the audit log."""

    page: Page = 1
    page_size: Annotated[int, Meta(ge=1, le=1_000)] = 50


class AuditItem(TypedDict):
    """One change, or refused attempt, of a caller."""

    time: str
    who: str
    action: str
    subject: str
    outcome: str
    cid: str
    remote_address: str


class GetList(Service[AuditPage, list[AuditItem]]):
    """Return changes, and attempts of changes, by callers, newest first."""

    name = "zato.audit.get-list"
    role = "admin"
    is_safe = True
    scope = "all"
    audit_log = needs(AuditLog)

    async def handle(self) -> None:
        page, size = self.request.input.page, self.request.input.page_size
        self.response.payload = [
            build(AuditItem, record, time=iso(record.at))
            for record in await self.audit_log.list(size, (page - 1) * size)
        ]
