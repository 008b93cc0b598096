"""Audit: records changes and refusals in the audit log, without making requests wait for it."""

import asyncio
import logging
from collections.abc import Iterable

import msgspec

from zato_lite.clock import Clock
from zato_lite.http.events import EventLog
from zato_lite.http.message import Request
from zato_lite.http.throttle import network_of
from zato_lite.service.access import AUDITED_ROLES, is_safe, needed_role
from zato_lite.store.audit import AuditLog, AuditRecord

_WINDOW_S = 60.0
_MAX_PER_ADDRESS = 20
_MAX_RECORDED = 1_000
_MAX_ADDRESSES = 10_000
_MAX_NAME = 200

_log = logging.getLogger(__name__)


class RefusalCounter:
    """Limits how many refusals are recorded, since anyone can cause any number of them.

    In a minute, the first 20 of an address are recorded, 1,000 in all; the others are counted,
    and the next recorded one of that address stands for them too.
    """

    def __init__(self) -> None:
        self._window_start = float("-inf")
        self._recorded = 0
        self._by_address: dict[str, int] = {}
        self._unrecorded: dict[str, int] = {}

    def count(self, address: str, now: float) -> int:
        """Return how many refusals the record of this one stands for; 0 for no record.

        Args:
            address: the client's address.
            now: monotonic seconds.
        """
        if now - self._window_start >= _WINDOW_S:
            self._window_start, self._recorded = now, 0
            self._by_address.clear()
        earlier = self._by_address.get(address, 0)
        if earlier >= _MAX_PER_ADDRESS or self._recorded >= _MAX_RECORDED:
            if len(self._unrecorded) < _MAX_ADDRESSES:
                self._unrecorded[address] = self._unrecorded.get(address, 0) + 1
            return 0
        self._by_address[address] = earlier + 1
        self._recorded += 1
        return 1 + self._unrecorded.pop(address, 0)


def describe_refusals(outcome: str, count: int) -> str:
    """Return the outcome, with the number of further refusals that the record stands for."""
    return outcome if count <= 1 else f"{outcome}, and {count - 1} more"


class AuditTrail:
    """Records in the background; the services in ``self_audited`` record their changes themselves.

    Args:
        audit_log: the store of the records.
        clock: gives the time of a record.
        events: where changes are published, or None.
        self_audited: names of services.
    """

    def __init__(
        self,
        audit_log: AuditLog,
        clock: Clock,
        events: EventLog | None = None,
        self_audited: Iterable[str] = (),
    ) -> None:
        self._audit_log, self._clock, self._events = audit_log, clock, events
        self._self_audited = frozenset(self_audited)
        self._refusals = RefusalCounter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def record(self, record: AuditRecord, request: Request) -> None:
        """Write a record to the audit log, with the time and the request's address."""
        await self._audit_log.record(
            msgspec.structs.replace(
                record,
                who=record.who[:_MAX_NAME],
                subject=record.subject[:_MAX_NAME],
                remote_address=request.remote_address,
                at=self._clock.now(),
            )
        )

    def record_change(self, record: AuditRecord, request: Request) -> None:
        """Publish a change that was made, and record it unless the service does so itself."""
        is_made = record.outcome.startswith("2") and not is_safe(record.subject)
        if self._events is not None and is_made:
            fields = {"who": record.who, "service": record.subject, "status": record.outcome}
            self._events.publish("change", fields)
        is_audited = needed_role(record.subject) in AUDITED_ROLES
        if is_audited and record.subject not in self._self_audited:
            self._record_later(record, request)

    def record_refusal(self, record: AuditRecord, request: Request) -> None:
        """Record a refused request, if the address has not too many records yet."""
        if count := self.count_refusal(request):
            outcome = describe_refusals(record.outcome, count)
            self._record_later(msgspec.structs.replace(record, outcome=outcome), request)

    def count_refusal(self, request: Request) -> int:
        """Return how many refusals a record of this one stands for; 0 for no record."""
        network = network_of(request.remote_address)
        return self._refusals.count(network, self._clock.monotonic())

    async def flush(self) -> None:
        """Wait for the records that are being written."""
        await asyncio.gather(*self._tasks)

    def _record_later(self, record: AuditRecord, request: Request) -> None:
        task = asyncio.ensure_future(self.record(record, request))
        self._tasks.add(task)  # the loop itself keeps no strong reference to a task
        task.add_done_callback(self._recorded)

    def _recorded(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("audit record lost", exc_info=error)
