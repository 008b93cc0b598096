"""``/zato/json/{service}``: services at the URLs that they have up to Zato 3.2."""

from urllib.parse import unquote

from zato_lite.http.endpoints.envelope import refuse_stream, wrap_json
from zato_lite.http.message import Request, Response
from zato_lite.http.mount import METHODS
from zato_lite.http.payloads import read_payload
from zato_lite.http.request_invoker import RequestInvoker
from zato_lite.http.responder import Responder
from zato_lite.http.router import Target
from zato_lite.http.routes import Route
from zato_lite.service.message import Caller
from zato_lite.service.offload import OFFLOAD_FROM, offload

PREFIX = "/zato/json/"


def json_channels_route(invoker: RequestInvoker, responder: Responder) -> Route:
    """Return the route; it admits viewers, and then checks the rights to the service."""

    async def invoke(request: Request, caller: Caller | None) -> Response:
        path = request.raw_path or request.path
        service = unquote(path.removeprefix(PREFIX))
        cached = await invoker.prepare(request, Target(service))
        owner = cached.caller.principal
        payload, raw = await read_payload(request, cached.query, owner)
        outcome = await invoker.invoke(cached, payload, raw)
        await refuse_stream(outcome, service)
        response = await responder.answer_in_parts(cached, request, outcome)
        name = name_of_answer(service)
        if len(response.body) < OFFLOAD_FROM:
            return wrap_json(response, name)
        return await offload(wrap_json, response, name, owner=owner)

    return Route(METHODS, f"{PREFIX}*", invoke)


def name_of_answer(service: str) -> str:
    """Return the key of a service's answer: ``zato_ping_response`` for ``zato.ping``."""
    if not service.startswith("zato."):
        return "response"
    return service.replace(".", "_").replace("-", "_") + "_response"
