"""``zato.store.*``: the store checked and copied while all goes on; for admins."""

from typing import Any

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.fields import Reader, flag, text, whole
from zato_lite.clock import Clock
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.store.backup import Backups

_KEEP_MOST = 10_000
_NAME_MOST = 100


class Check(Service[Any, Any]):
    """Whether the store's file is sound; ``is_full`` also compares indexes with their tables."""

    name = "zato.store.check"
    backups = needs(Backups)
    clock = needs(Clock)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        is_full = reader("is_full", flag, False)
        reader.only(("is_full", "cluster_id"))
        reader.check()
        began = self.clock.monotonic()
        problems = await self.backups.check(is_full=is_full)
        self.response.payload = {
            "is_ok": not problems,
            "problems": list(problems),
            "is_full": is_full,
            "duration_ms": round((self.clock.monotonic() - began) * 1000, 1),
        }


class Backup(AuditedService):
    """Copies the store to a new file in the folder for backups, and nowhere else.

    Without a ``name`` it is named by the time. Of such copies the newest ``keep`` stay, if it is
    given: a job may well call this every night.
    """

    name = "zato.store.backup"
    backups = needs(Backups)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        asked = reader("name", text(_NAME_MOST), "")
        keep = reader("keep", whole(1, _KEEP_MOST), None)
        reader.only(("name", "keep", "cluster_id"))
        reader.check()
        made = await self.backups.make(asked or "", keep)
        self.response.payload = {"name": made.name, "path": str(made.path), "size": made.size}
        return made.name
