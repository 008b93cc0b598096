"""Base of built-in services whose changes are recorded in the audit log."""

from collections.abc import Callable, Mapping
from contextvars import Token
from typing import Any, ClassVar, cast

from zato_lite.clock import Clock
from zato_lite.errors import ForbiddenError, ZatoLiteError
from zato_lite.service.access import AUDITED_ROLES, needed_role
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, Invocation
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry
from zato_lite.service.request import In, Out
from zato_lite.service.typed import declared, is_custom
from zato_lite.store.audit import AuditLog, AuditRecord, insert_record
from zato_lite.store.companion import Companion, companion
from zato_lite.store.ports import Connection
from zato_lite.wire import encode

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
    _companion: Companion | None = None
    _token: Token[Companion | None] | None = None
    _changes: Mapping[str, Any] | None = None

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
            await self._record(_subject_of(self._payload), f"{error.status}: {error}")
            raise
        finally:
            if self._token is not None:
                companion.reset(self._token)
        if self._companion is None or not self._companion.is_written:
            await self._record(subject, "ok", self._changes)

    def add_changes(self, changes: Mapping[str, Any]) -> None:
        """Add what changes to the record of a change that is not made in the store."""
        self._changes = changes

    def record_with_change(
        self,
        subject: str | Callable[[Any], str],
        changes: Callable[[Any], Mapping[str, Any]] | None = None,
    ) -> None:
        """Have the success recorded in the transaction of the next change, with its one sync.

        Args:
            subject: the subject, or a function that makes it of the result in the store.
            changes: a function that makes the recorded changes of it.
        """
        if self.caller is SYSTEM:
            return

        def write(connection: Connection, result: Any) -> None:
            text = subject if isinstance(subject, str) else subject(result)
            made = None if changes is None else changes(result)
            insert_record(connection, self._new_record(text, "ok", made))

        self._companion = Companion(write)
        self._token = companion.set(self._companion)

    def _read(self) -> In:
        """Return the declared input, or the payload where none is declared."""
        payload = self._payload
        return cast("In", payload if self._input is None else self._input.from_payload(payload))

    async def _record(
        self, subject: str, outcome: str, changes: Mapping[str, Any] | None = None
    ) -> None:
        await self.audit_log.record(self._new_record(subject, outcome, changes))

    def _new_record(
        self, subject: str, outcome: str, changes: Mapping[str, Any] | None
    ) -> AuditRecord:
        http = self.http
        return AuditRecord(
            who=self.caller.shown,
            action=self.name,
            subject=subject[:_MAX_TEXT],
            outcome=outcome[:_MAX_TEXT],
            cid=self.cid,
            remote_address=http.remote_address if http is not None else "",
            at=self.clock.now(),
            changes=encode(changes, str).decode() if changes else None,
        )


class UseRecorder:
    """``UseLog``: the audit log of what runs and other services invoke, as that of requests.

    Services that record their own changes are left out, and so are those that any operator may
    invoke.
    """

    def __init__(self, audit_log: AuditLog, services: Registry, clock: Clock) -> None:
        self._audit_log, self._services, self._clock = audit_log, services, clock

    async def record_use(
        self, invocation: Invocation, service: str, error: BaseException | None
    ) -> None:
        """Record an invocation of a service for editors or admins, with its status."""
        if needed_role(service) in AUDITED_ROLES and not self._is_self_audited(service):
            status = "200" if error is None else str(getattr(error, "status", 500))
            await self._record(invocation, "invoke", service, status)

    async def record_refusal(self, invocation: Invocation, service: str) -> None:
        """Record that the caller was refused a service."""
        await self._record(invocation, "refused", service, str(ForbiddenError.status))

    def _is_self_audited(self, service: str) -> bool:
        entry = self._services.entries.get(service)
        return entry is not None and issubclass(entry.cls, AuditedService)

    async def _record(
        self, invocation: Invocation, action: str, service: str, outcome: str
    ) -> None:
        http = invocation.http
        record = AuditRecord(
            who=invocation.caller.shown,
            action=action,
            subject=service,
            outcome=outcome,
            cid=invocation.cid,
            remote_address=http.remote_address if http is not None else "",
            at=self._clock.now(),
        )
        await self._audit_log.record(record)


def _subject_of(payload: Any) -> str:
    """Return the ids and names in a refused request."""
    if isinstance(payload, dict):
        found = [payload[field] for field in ("id", "job_id", "name") if payload.get(field)]
        return " ".join(ascii(value) for value in found)
    return ""
