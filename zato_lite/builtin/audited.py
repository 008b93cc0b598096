"""What services that change something have in common: it is known who did it, and to what."""

from typing import Any

from zato_lite.clock import Clock
from zato_lite.errors import ZatoLiteError
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM
from zato_lite.service.needs import needs
from zato_lite.store.accounts import Accounts

_SUBJECT_MOST = 200


class AuditedService(Service[Any, Any]):
    """A service that changes something; who asked, and what came of it, is in the audit log.

    What the server does by itself, on behalf of nobody, is not written down.
    """

    people = needs(Accounts)
    clock = needs(Clock)

    async def change(self) -> str:
        """Make the change; what was changed, in a word, for the audit log."""
        raise NotImplementedError

    async def handle(self) -> None:
        if self.caller is SYSTEM:
            await self.change()
            return
        try:
            subject = await self.change()
        except ZatoLiteError as error:
            await self._record(_asked_of(self.request.payload), f"{error.status}: {error}")
            raise
        await self._record(subject, "ok")

    async def _record(self, subject: str, outcome: str) -> None:
        http = self.http
        await self.people.record_audit(
            at=self.clock.now(),
            who=self.caller.name,
            action=self.name,
            subject=subject[:_SUBJECT_MOST],
            outcome=outcome[:_SUBJECT_MOST],
            cid=self.cid,
            remote_address=http.remote_address if http is not None else "",
        )


def _asked_of(payload: Any) -> str:
    """What a request that failed was about, as far as it says."""
    if isinstance(payload, dict):
        found = [payload[field] for field in ("id", "job_id", "name") if payload.get(field)]
        return " ".join(ascii(value) for value in found)
    return ""
