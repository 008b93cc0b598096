"""Access log: a line for each request, or for each slow one."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from zato_lite.http.fastpath import Answer
from zato_lite.http.head import RefusedError
from zato_lite.http.message import Request, Response

_log = logging.getLogger("zato_lite.access")

_OK = 200


class AccessLog:
    """Logs requests; it takes the place of the function that answers them.

    Args:
        answer: answers a request.
        monotonic: the clock.
        name_of: returns the caller's name, if it is known.
        slow_s: seconds from which a request is logged; 0 for all.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        monotonic: Callable[[], float],
        name_of: Callable[[Request], str | None],
        slow_s: float,
    ) -> None:
        self._answer, self._monotonic = answer, monotonic
        self._name_of, self._slow_s = name_of, slow_s

    def answer(self, request: Request) -> Answer:
        """Answer a request and log it."""
        began = self._monotonic()
        answer = self._answer(request)
        if isinstance(answer, tuple):
            self._write(request, _OK, answer[1], began)
        elif isinstance(answer, Response):
            self._write(request, answer.status, answer.cid, began)
        else:
            return self._answer_later(request, answer, began)
        return answer

    def log_refusal(self, refused: RefusedError, address: str, cid: str) -> None:
        """Log a malformed request, of which no more than the reason is known."""
        if self._slow_s == 0:
            fields = {"status": refused.status, "reason": refused.details}
            _log.info("request refused", extra={**fields, "address": address, "cid": cid})

    async def _answer_later(
        self, request: Request, answer: Coroutine[Any, Any, Response], began: float
    ) -> Response:
        try:
            response = await answer
        except asyncio.CancelledError:
            self._write(request, None, "", began)
            raise
        self._write(request, response.status, response.cid, began)
        return response

    def _write(self, request: Request, status: int | None, cid: str, began: float) -> None:
        """Log a request; the query string may hold secrets. None: the client has left."""
        seconds = self._monotonic() - began
        if seconds < self._slow_s:
            return
        fields = {
            "method": request.method,
            "path": request.path,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "caller": self._name_of(request) or "",
            "address": request.remote_address,
            "cid": cid,
        }
        _log.info("request answered" if status else "request abandoned", extra=fields)
