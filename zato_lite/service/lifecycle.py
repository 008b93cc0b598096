"""What happens in an invocation besides ``handle``: the hooks, in their order.

``accept``, reading the input, ``before_job``, ``before_…_job``, ``before_handle``,
``validate_input``, ``handle``, ``validate_output``, ``after_handle``, ``after_…_job``,
``after_job``, checking the answer, and in any case ``finalize_handle``. Whatever raises ends it.
"""

import inspect
from collections.abc import Callable, Generator
from typing import Any

from msgspec import ValidationError, convert

from zato_lite.errors import BadInputError, MethodNotAllowedError
from zato_lite.service.base import Service
from zato_lite.service.bunch import Message
from zato_lite.service.elements import Answer
from zato_lite.service.message import Invocation
from zato_lite.service.registry import Entry
from zato_lite.service.request import Request, Response, input_of
from zato_lite.service.typed import Convert

Steps = Generator[Any, Any, Any]
"""Yields what each step came to, awaitable or not, and is sent what that came to."""


async def live(
    service: Service[Any, Any], entry: Entry, wait: Callable[[Any], Any] | None = None
) -> Any:
    """The whole invocation of a service with hooks; its payload.

    With ``wait`` it does not await: that is how it goes through in one step in a worker thread.
    """
    steps = _lifetime(service, entry)
    try:
        found = next(steps)
        while True:
            try:
                if inspect.isawaitable(found):
                    found = await found if wait is None else wait(found)
            except BaseException as error:  # noqa: BLE001 - it is raised in the steps
                found = steps.throw(error)
            else:
                found = steps.send(found)
    except StopIteration as stop:
        return stop.value


def live_in_thread(service: Service[Any, Any], entry: Entry, wait: Callable[[Any], Any]) -> Any:
    """The whole invocation in a worker thread; its payload."""
    try:
        live(service, entry, wait).send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("a blocking service awaited")


def read_input(service: Service[Any, Any], entry: Entry) -> None:
    """Make ``request.input`` of the payload, and make room for an answer set bit by bit."""
    payload = service._payload
    if service._parent is None:
        read_first_input(service, entry, service._root)
        return
    if entry.read is not None:
        if payload is None or not entry.is_native:
            found = _read(entry, entry.read, Message() if payload is None else payload)
        else:  # as ``_read`` does, without a call
            try:
                found = convert(payload, entry.input)
            except ValidationError:
                found = entry.read(payload)
        service._request = Request(found, payload, None)
    if entry.has_elements:
        service._response = Response(Answer())


def read_first_input(service: Service[Any, Any], entry: Entry, invocation: Invocation) -> None:
    """The same for what came from outside; in a query string everything is text."""
    payload, read, http = invocation.payload, entry.read, invocation.http
    if read is not None:
        if payload is None or not entry.is_native or (http is not None and http.method == "GET"):
            if http is not None and http.method == "GET" and entry.read_text is not None:
                read = entry.read_text
            found = _read(entry, read, input_of(None, invocation) if payload is None else payload)
        else:  # as ``_read`` does, without a call
            try:
                found = convert(payload, entry.input)
            except ValidationError:
                found = read(payload)
        service._request = Request(found, payload, invocation)
    if entry.has_elements:
        service._response = Response(Answer())


def _read(entry: Entry, read: Convert, payload: Any) -> Any:
    """The declared input; msgspec is asked first, and ``read`` knows all that is wrong."""
    if entry.is_native:
        try:
            return convert(payload, entry.input)
        except ValidationError:
            pass
    return read(payload)


def answer_of(service: Service[Any, Any], entry: Entry, returned: Any) -> Any:
    """The payload: what was set on the response, or else what ``handle`` returned; checked."""
    response = service._response
    payload = returned
    if response is not None and (returned is None or not _is_untouched(response.payload)):
        payload = response.payload
    if entry.write is None or type(payload) is entry.output:
        return payload
    return entry.write(payload)


def _is_untouched(payload: Any) -> bool:
    return payload is None or (isinstance(payload, Answer) and payload.value() is None)


def _lifetime(service: Service[Any, Any], entry: Entry) -> Steps:
    hooks = entry.hooks
    if "accept" in hooks and (yield service.accept()) is False:
        raise BadInputError(f"Service `{entry.name}` does not accept this")
    try:
        read_input(service, entry)
        for name in _before(service.job_type):
            if name in hooks:
                yield getattr(service, name)()
        returned = yield _handle(service, entry)
        if returned is not None and service.response.payload is None:
            service.response.payload = returned
        for name in _after(service.job_type):
            if name in hooks:
                yield getattr(service, name)()
        return answer_of(service, entry, returned)
    finally:
        if "finalize_handle" in hooks:
            yield service.finalize_handle()


def _before(job_type: str) -> tuple[str, ...]:
    always = ("before_handle", "validate_input")
    return ("before_job", f"before_{job_type}_job", *always) if job_type else always


def _after(job_type: str) -> tuple[str, ...]:
    always = ("validate_output", "after_handle")
    return (*always, f"after_{job_type}_job", "after_job") if job_type else always


def _handle(service: Service[Any, Any], entry: Entry) -> Any:
    http = service.http
    if http is not None and entry.verbs:
        method = http.method
        if method == "HEAD" and "HEAD" not in entry.verbs:
            method = "GET"  # whose answer it is, less the body
        if method in entry.verbs:
            return getattr(service, f"handle_{method}")()
        if not entry.has_handle:
            allow = {*entry.verbs, *(("HEAD",) if "GET" in entry.verbs else ())}
            text = f"Service `{entry.name}` does not answer {http.method}"
            raise MethodNotAllowedError(text, sorted(allow))
    return service.handle()
