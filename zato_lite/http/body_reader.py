"""Body reader: bodies that services limit themselves, read as streams or as forms with files."""

from collections.abc import AsyncIterator, Mapping
from typing import Self

from zato_lite.http.body import BodyPlan, whole
from zato_lite.http.media import media_type
from zato_lite.http.message import Request, Response, close_stream
from zato_lite.http.request_invoker import CachedRequest, RequestInvoker
from zato_lite.http.responder import Responder
from zato_lite.http.router import Router, Target
from zato_lite.http.routes import Services
from zato_lite.http.uploads import Form, UploadFolder, boundary_of
from zato_lite.service.binding import binding_of
from zato_lite.service.uploads import BodyLimits, has_uploads

_FORM = b"multipart/form-data"


class BodyReader:
    """Reads the bodies of services with ``body_limits`` or with uploaded files in their input."""

    def __init__(
        self,
        services: Services,
        router: Router,
        invoker: RequestInvoker,
        responder: Responder,
        *,
        folder: UploadFolder | None,
        max_body: int,
    ) -> None:
        self._services, self._router = services, router
        self._invoker, self._responder = invoker, responder
        self._folder, self._max_body = folder, max_body
        self._limits: dict[str, BodyLimits] = {}
        self._takers: set[str] = set()

    def reload(self) -> None:
        """Read the services' limits again after a deployment."""
        self._limits, self._takers = {}, set()
        for entry in self._services:
            if entry.is_internal:
                continue
            limits = getattr(entry.cls, "body_limits", None)
            binding = binding_of(entry.input)
            if binding and any(has_uploads(field.type) for field in binding.fields):
                self._takers.add(entry.name)
                limits = limits or BodyLimits()
            if limits is not None:
                self._limits[entry.name] = limits

    def plan(self, method: str, target: bytes, headers: Mapping[bytes, bytes]) -> BodyPlan | None:
        """Return the plan for the body of a request; None if its service has none."""
        if not self._limits:
            return None
        path = target.partition(b"?")[0].decode("latin-1")
        found = self._router.find(method, path)
        limits = self._limits.get(found.service) if isinstance(found, Target) else None
        if limits is None or not isinstance(found, Target):
            return None
        size = self._max_body if limits.size is None else limits.size
        is_form = found.service in self._takers and self._folder is not None
        is_form = is_form and media_type(headers.get(b"content-type", b"")) == _FORM
        return BodyPlan(size, limits.is_streamed or is_form)

    def reads(self, service: str, request: Request) -> bool:
        """Return True if the service reads its body itself, or its form is to be read."""
        if request.stream is not None:
            return True
        limits = self._limits.get(service)
        return limits is not None and limits.is_streamed

    async def answer(self, cached: CachedRequest, request: Request) -> Response:
        """Answer a request whose body is still arriving."""
        limits = self._limits.get(cached.service) or BodyLimits()
        boundary = None
        if not limits.is_streamed:
            boundary = boundary_of(request.headers.get(b"content-type", b""))
        if boundary is None or self._folder is None:
            body = request.stream or whole(request.body)
            outcome = await self._invoker.invoke(cached, None, None, body=body)
            return await self._responder.answer_in_parts(cached, request, outcome)
        form = Form(limits, self._folder)
        try:
            await form.read(request.stream, boundary)
            outcome = await self._invoker.invoke(cached, form.fields, None)
            response = await self._responder.answer_in_parts(cached, request, outcome)
        except BaseException:
            await form.close()
            raise
        if response.stream is None:
            await form.close()
        else:
            response.stream = _WithForm(response.stream, form)
        return response


class _WithForm:
    """A stream at whose end the files of a form are deleted."""

    def __init__(self, pieces: AsyncIterator[bytes], form: Form) -> None:
        self._pieces, self._form = pieces, form

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """End the stream and delete the files."""
        try:
            await close_stream(self._pieces)
        finally:
            await self._form.close()
