"""``BlockingService``: base class of services that run in a worker thread, for type checkers."""

from typing import Any, Literal, cast

from zato_lite.service.base import Answer, Service
from zato_lite.service.locks import BlockingLock
from zato_lite.service.request import In, Out
from zato_lite.service.sync_aware import RunsInThread


class BlockingService(Service[In, Out], RunsInThread):
    """Service whose plain ``handle`` runs in a worker thread."""

    # In a thread the base's methods return results already; the overrides change only the types.

    def invoke(  # type: ignore[override]
        self,
        service: str | type[Service[Any, Answer]],
        payload: Any = None,
        *,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> Answer:
        """Invoke another service and return its answer."""
        answer = super().invoke(service, payload, timeout=timeout, **kwargs)
        return cast("Answer", answer)

    def invoke_async(  # type: ignore[override]
        self,
        service: str | type[Service[Any, Any]],
        payload: Any = None,
        *,
        delay: float = 0,
        retries: int = 0,
        retry_delay: float = 1,
        retry_backoff: float = 2,
        timeout: float | None = None,
        callback: str | type[Service[Any, Any]] | None = None,
        on_behalf_of: Literal["caller", "system"] = "caller",
        **kwargs: Any,
    ) -> int:
        """Save an invocation of another service and return the run's id."""
        run = super().invoke_async(
            service,
            payload,
            delay=delay,
            retries=retries,
            retry_delay=retry_delay,
            retry_backoff=retry_backoff,
            timeout=timeout,
            callback=callback,
            on_behalf_of=on_behalf_of,
            **kwargs,
        )
        return cast("int", run)

    def sleep(self, seconds: float = 1) -> None:  # type: ignore[override]
        """Sleep."""
        _ = super().sleep(seconds)

    def lock(  # type: ignore[override]
        self, name: str = "", ttl: float = 20, block: float = 10
    ) -> BlockingLock:
        """Return a lock, for ``with self.lock("name")``."""
        return cast("BlockingLock", super().lock(name, ttl, block))
