"""Service by which an admin takes over jobs whose principal is unknown or does not exist."""

from typing import Annotated, Any, TypedDict

from msgspec import Meta

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.input import Id, Input, missing
from zato_lite.errors import FieldError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.needs import needs

_MAX_IDS = 10_000


class AdoptInput(Input, forbid_unknown_fields=True):
    """Jobs by their ids; or ``all``: those whose principal is unknown or does not exist."""

    ids: Annotated[list[Id], Meta(min_length=1, max_length=_MAX_IDS)] | None = None
    all: bool = False

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        if not values.get("ids") and not values.get("all") and not errors:
            errors.append(FieldError("ids", None, f"{missing('ids').message} (or all)"))


class Adopted(TypedDict):
    """The number of jobs that the caller has taken over."""

    adopted: int


class Adopt(AuditedService[AdoptInput, Adopted]):
    """Make the caller the principal of jobs: their next runs are on its behalf."""

    name = "zato.scheduler.job.adopt"
    role = "admin"
    scope = "all"
    jobs = needs(JobCommands)

    async def change(self, params: AdoptInput) -> str:
        ids = params.ids if params.ids is not None else await self.jobs.unowned()
        shown = " ".join(map(str, ids)) if params.ids is not None else "all"
        self.record_with_change(f"{len(ids)} jobs: {shown}")
        adopted = await self.jobs.adopt(ids, self.caller.principal)
        self.response.payload = {"adopted": adopted}
        return f"{adopted} jobs: {shown}"
