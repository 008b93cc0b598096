"""Base of built-in services whose changes are recorded in the audit log."""

from typing import Any

from zato_lite.clock import Clock
from zato_lite.errors import ZatoLiteError
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM
from zato_lite.service.needs import needs
from zato_lite.store.audit import AuditLog, AuditRecord

_MAX_TEXT = 200
"""Characters of a subject or an outcome in the audit log; the rest is cut off."""


class AuditedService(Service[Any, Any]):
    """Service that records its caller, subject and outcome in the audit log.

    Changes by the server itself are not recorded.
    """

    audit_log = needs(AuditLog)
    clock = needs(Clock)

    async def change(self) -> str:
        """Make the change; return its subject for the audit log."""
        raise NotImplementedError

    async def handle(self) -> None:
        if self.caller is SYSTEM:
            await self.change()
            return
        try:
            subject = await self.change()
        except ZatoLiteError as error:
            await self._record(_subject_of(self.request.payload), f"{error.status}: {error}")
            raise
        await self._record(subject, "ok")

    async def _record(self, subject: str, outcome: str) -> None:
        http = self.http
        record = AuditRecord(
            who=self.caller.name,
            action=self.name,
            subject=subject[:_MAX_TEXT],
            outcome=outcome[:_MAX_TEXT],
            cid=self.cid,
            remote_address=http.remote_address if http is not None else "",
            at=self.clock.now(),
        )
        await self.audit_log.record(record)


def _subject_of(payload: Any) -> str:
    """Return the ids and names in a refused request."""
    if isinstance(payload, dict):
        found = [payload[field] for field in ("id", "job_id", "name") if payload.get(field)]
        return " ".join(ascii(value) for value in found)
    return ""
