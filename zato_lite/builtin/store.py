"""Services that check and copy the store while the server runs."""

from typing import Annotated, TypedDict

from msgspec import Meta

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.input import Input
from zato_lite.clock import Clock
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.store.backup import Backups


class CheckInput(Input, forbid_unknown_fields=True):
    """True for ``is_full`` compares indexes with their tables, too."""

    is_full: bool = False


class CheckResult(TypedDict):
    """Problems of the store's file."""

    is_ok: bool
    problems: list[str]
    is_full: bool
    duration_ms: float


class BackupInput(Input, forbid_unknown_fields=True):
    """The name of the copy, and the number of copies named by the time to retain."""

    name: Annotated[str, Meta(max_length=100)] = ""
    keep: Annotated[int, Meta(ge=1, le=10_000)] | None = None


class BackupItem(TypedDict):
    """A copy of the store; its size is in bytes."""

    name: str
    path: str
    size: int


class Check(Service[CheckInput, CheckResult]):
    """Check the store's file; ``is_full`` also compares indexes with their tables."""

    name = "zato.store.check"
    role = "admin"
    is_safe = True
    scope = "all"
    backups = needs(Backups)
    clock = needs(Clock)

    async def handle(self) -> None:
        is_full = self.request.input.is_full
        started = self.clock.monotonic()
        problems = await self.backups.check(is_full=is_full)
        self.response.payload = {
            "is_ok": not problems,
            "problems": list(problems),
            "is_full": is_full,
            "duration_ms": round((self.clock.monotonic() - started) * 1000, 1),
        }


class Backup(AuditedService[BackupInput, BackupItem]):
    """Copy the store to a new file in the folder for backups.

    Without a ``name`` the copy is named by the time; if ``keep`` is sent, only that many of such
    copies are retained, so that a job can make a backup every night.
    """

    name = "zato.store.backup"
    role = "admin"
    scope = "all"
    backups = needs(Backups)

    async def change(self, params: BackupInput) -> str:
        made = await self.backups.make(params.name, params.keep)
        self.response.payload = {"name": made.name, "path": str(made.path), "size": made.size}
        return made.name
