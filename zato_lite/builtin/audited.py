"""Base of built-in services whose changes are recorded in the audit log."""

from typing import Any, ClassVar, cast

from zato_lite.clock import Clock
from zato_lite.errors import ZatoLiteError
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM
from zato_lite.service.needs import needs
from zato_lite.service.request import In, Out
from zato_lite.service.typed import declared, is_custom
from zato_lite.store.audit import AuditLog, AuditRecord

_MAX_TEXT = 200
"""Characters of a subject or an outcome in the audit log; the rest is cut off."""


class AuditedService(Service[In, Out]):
    """Service that records its caller, subject and outcome in the audit log.

    Changes by the server itself are not recorded. The declared input is read in ``handle``: a
    request that is refused for its input is recorded, too.
    """

    audit_log = needs(AuditLog)
    clock = needs(Clock)

    reads_input: ClassVar[bool] = False
    _input: ClassVar[Any] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        found = declared(cls, "input")
        cls._input = found.type if found is not None and is_custom(found.type) else None

    async def change(self, params: In) -> str:
        """Make the change; return its subject for the audit log."""
        raise NotImplementedError

    async def handle(self) -> None:
        if self.caller is SYSTEM:
            await self.change(self._read())
            return
        try:
            subject = await self.change(self._read())
        except ZatoLiteError as error:
            await self._record(_subject_of(self.request.payload), f"{error.status}: {error}")
            raise
        await self._record(subject, "ok")

    def _read(self) -> In:
        """Return the declared input, or the payload where none is declared."""
        payload = self._payload
        return cast("In", payload if self._input is None else self._input.from_payload(payload))

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
