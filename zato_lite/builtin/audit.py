"""Who did what, as a service."""

from zato_lite.builtin.fields import Reader, iso, whole
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.store.audit import AuditLog

_MOST = 1_000


class GetList(Service):
    """What callers changed or tried to, newest first; only an admin may ask."""

    name = "zato.audit.get-list"
    audit_log = needs(AuditLog)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        page = reader("page", whole(1, 10**9), 1)
        size = reader("page_size", whole(1, _MOST), 50)
        reader.only(("page", "page_size", "cluster_id"))
        reader.check()
        rows = await self.audit_log.list(size, (page - 1) * size)
        self.response.payload = [
            {
                "time": iso(row.at),
                "who": row.who,
                "action": row.action,
                "subject": row.subject,
                "outcome": row.outcome,
                "cid": row.cid,
                "remote_address": row.remote_address,
            }
            for row in rows
        ]
