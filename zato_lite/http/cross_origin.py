"""CORS: preflights are answered, and other answers say which pages may read them."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from zato_lite.http.cors import ANY, CorsPolicy
from zato_lite.http.fastpath import Answer
from zato_lite.http.message import Request, Response, to_response

_VARY = ("Vary", "Origin")


class CrossOrigin:
    """Answers preflights, and says in other answers who may read them.

    Args:
        answer: answers a request; this takes its place.
        policy: the permissions.
        check_host: refuses a host that is not served.
        refuse: makes the response to an error.
    """

    def __init__(
        self,
        answer: Callable[[Request], Answer],
        policy: CorsPolicy,
        check_host: Callable[[Mapping[bytes, bytes]], None],
        refuse: Callable[[Request, Exception], Response],
    ) -> None:
        self._answer, self._policy = answer, policy
        self._check_host, self._refuse = check_host, refuse

    def answer(self, request: Request) -> Answer:
        """Answer a request."""
        origin = request.headers.get(b"origin")
        is_permitted = self._policy.permits(origin)
        if is_permitted and _is_preflight(request):
            return self._preflight(request)
        answer = self._answer(request)
        if isinstance(answer, tuple):
            return self._with_fields(request, to_response(answer)) if is_permitted else answer
        if isinstance(answer, Response):
            return self._with_fields(request, answer)
        return self._answer_later(request, answer)

    async def _answer_later(
        self, request: Request, answer: Coroutine[Any, Any, Response]
    ) -> Response:
        return self._with_fields(request, await answer)

    def _preflight(self, request: Request) -> Response:
        try:
            self._check_host(request.headers)
        except Exception as error:  # noqa: BLE001 - every request gets an answer
            return self._refuse(request, error)
        fields = (
            ("Access-Control-Allow-Methods", ", ".join(self._policy.methods)),
            ("Access-Control-Allow-Headers", ", ".join(self._policy.headers)),
            ("Access-Control-Max-Age", str(self._policy.max_age)),
        )
        return self._with_fields(request, Response(204, b"", None, fields))

    def _with_fields(self, request: Request, response: Response) -> Response:
        policy = self._policy
        is_any = ANY in policy.origins
        fields: tuple[tuple[str, str], ...] = () if is_any else (_VARY,)
        origin = request.headers.get(b"origin")
        if origin is not None and policy.permits(origin):
            allowed = ANY if is_any else origin.decode("latin-1")
            fields += (("Access-Control-Allow-Origin", allowed),)
            if policy.has_credentials:
                fields += (("Access-Control-Allow-Credentials", "true"),)
            if policy.exposed:
                fields += (("Access-Control-Expose-Headers", ", ".join(policy.exposed)),)
        response.headers += fields
        return response


def _is_preflight(request: Request) -> bool:
    return request.method == "OPTIONS" and b"access-control-request-method" in request.headers
