"""``/ide-deploy``: files of services from Zato's plugins for Visual Studio Code and PyCharm."""

from typing import Any

import msgspec

from zato_lite.http.message import Request, Response
from zato_lite.http.payloads import read_payload
from zato_lite.http.request_invoker import RequestInvoker
from zato_lite.http.responder import Responder
from zato_lite.http.responses import response_of
from zato_lite.http.router import Target
from zato_lite.http.routes import Route
from zato_lite.service.message import Caller
from zato_lite.wire import decode, encode

_SERVICE = "zato.hot-deploy.create"
_ERRORS_FROM = 400


def ide_deploy_route(invoker: RequestInvoker, responder: Responder) -> Route:
    """Return the route; it admits viewers, and then checks the rights to deploy.

    The plugins show the message of a response with status 200 only, so an error of the
    deployment is one, too. Their test of the connection, also a GET, deploys nothing.
    """

    async def deploy(request: Request, caller: Caller | None) -> Response:
        is_test = request.method == "GET"
        # A page of another site can have a browser send any GET: no file is in a query.
        posted = msgspec.structs.replace(request, method="POST", query=b"")
        cached = await invoker.prepare(posted, Target(_SERVICE))
        payload, raw = (None, None)
        if not is_test:
            payload, raw = await read_payload(request, {}, cached.caller.principal)
        outcome = await invoker.invoke(cached, payload or {}, raw)
        if payload:
            response = await responder.answer_in_parts(cached, request, outcome)
        else:
            response = response_of(outcome)  # it is not in the audit log, as nothing changes
        return _answer(response)

    return Route(("GET", "POST"), "/ide-deploy", deploy)


def _answer(response: Response) -> Response:
    """Return a response of the service as the plugins read it."""
    found: dict[str, Any] = decode(response.body)
    if response.status >= _ERRORS_FROM:
        success, message = False, found["details"]
    elif error := found.get("error"):
        success, message = False, f"not deployed: {error}"
    else:
        success = True
        message = "deployed" if found["is_deployed"] else "the server accepts uploads"
    answer = {"zato_ide_deploy_create_response": {"success": success, "msg": message}}
    return Response(200, encode(answer), cid=response.cid)
