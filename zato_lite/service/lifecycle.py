"""The course of an invocation: reading the input, hooks, ``handle``, checking the answer.

The order: ``accept``, reading the input, ``before_job``, ``before_…_job``, ``before_handle``,
``validate_input``, ``handle``, ``validate_output``, ``after_handle``, ``after_…_job``,
``after_job``, checking the answer. An exception ends it. ``finalize_handle`` is always called.
"""

import inspect
from collections.abc import Callable, Generator
from typing import Any, cast

from msgspec import ValidationError, convert

from zato_lite.errors import (
    BadInputError,
    InvocationError,
    MethodNotAllowedError,
)
from zato_lite.service.attribute_dict import Message
from zato_lite.service.base import Service
from zato_lite.service.binding import (
    TEXT_METHODS,
    has_text,
    merged,
    refuse_other_body,
    with_parameters,
)
from zato_lite.service.entry import Entry
from zato_lite.service.message import Invocation
from zato_lite.service.request import PayloadBuilder, Request, input_of
from zato_lite.service.typed import Convert, is_custom

_FIRST_ERROR = 400

Steps = Generator[Any, Any, Any]
"""Yields the return value of each step, awaitable or not, and is sent its final result."""


async def run_lifecycle(
    service: Service[Any, Any], entry: Entry, wait: Callable[[Any], Any] | None = None
) -> Any:
    """Run the whole invocation of a service with hooks and return its payload.

    With ``wait``, which awaits in the loop, the coroutine ends in its first step: a worker thread
    runs it so.
    """
    steps = _lifecycle(service, entry)
    try:
        result = next(steps)
        while True:
            try:
                if inspect.isawaitable(result):
                    result = await result if wait is None else wait(result)
            except BaseException as error:  # noqa: BLE001 - raised in the steps, for finalize_handle
                result = steps.throw(error)
            else:
                result = steps.send(result)
    except StopIteration as stop:
        return stop.value


def run_lifecycle_in_thread(
    service: Service[Any, Any], entry: Entry, wait: Callable[[Any], Any]
) -> Any:
    """Run the whole invocation in a worker thread and return its payload."""
    try:
        run_lifecycle(service, entry, wait).send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("lifecycle of a blocking service suspended")


def read_input(service: Service[Any, Any], entry: Entry) -> None:
    """Create ``request.input`` of the payload, and the payload that the response starts with."""
    payload = service._payload
    if service._parent is None:
        read_outer_input(service, entry, service._root)
        return
    if entry.read is not None:
        if payload is None or not entry.is_native:
            value = _read(entry, entry.read, Message() if payload is None else payload)
        else:  # the same as ``_read``, without the call
            try:
                value = convert(payload, entry.input)
            except ValidationError:
                value = entry.read(payload)
        service._request = Request(value, payload, None)
    if entry.new_response is not None:
        service._response = entry.new_response()


def read_outer_input(service: Service[Any, Any], entry: Entry, invocation: Invocation) -> None:
    """Do the same for an invocation from outside, with the parameters of an HTTP request."""
    payload, read, http = invocation.payload, entry.read, invocation.http
    if read is not None:
        if invocation.ahead is not None:
            service._request = _read_before(entry, invocation)
        else:
            if payload is None or not entry.is_direct or (http and http.has_parameters):
                value = _outer_input(entry, invocation)
            else:  # the same as ``_read``, without the call
                try:
                    value = convert(payload, entry.input)
                except ValidationError:
                    value = read(payload)
            service._request = Request(value, payload, invocation)
    if entry.new_response is not None:
        service._response = entry.new_response()


def read_ahead(entry: Entry, invocation: Invocation) -> tuple[type, Request[Any] | Exception]:
    """Return the value for ``Invocation.ahead``; to be called in a thread."""
    try:
        value = _outer_input(entry, invocation)
    except Exception as error:  # noqa: BLE001 - raised when the service reads its input
        return entry.cls, error
    return entry.cls, Request(value, invocation.payload, invocation)


def _read_before(entry: Entry, invocation: Invocation) -> Request[Any]:
    """Return the request that was read ahead, unless the service was replaced meanwhile."""
    cls, request = invocation.ahead or (None, None)
    if cls is not entry.cls or request is None:
        return Request(_outer_input(entry, invocation), invocation.payload, invocation)
    if isinstance(request, Exception):
        raise request
    return cast("Request[Any]", request)


def _outer_input(entry: Entry, invocation: Invocation) -> Any:
    """Return the input of an invocation from outside."""
    try:
        return _bound_input(entry, invocation)
    except BadInputError as error:
        http = invocation.http
        if http is not None and isinstance(invocation.payload, str | bytes):
            refuse_other_body(http, error)
        raise


def _bound_input(entry: Entry, invocation: Invocation) -> Any:
    """Return the input of a message; in a query string all values are text."""
    payload, read, http = invocation.payload, entry.read, invocation.http
    if read is None:
        return input_of(payload, invocation)
    if http is None:
        return _read(entry, read, Message() if payload is None else payload)
    binding = entry.binding
    if binding is None:
        is_text = http.method in TEXT_METHODS
        joined = (
            with_parameters(payload, http) if is_custom(entry.input) else merged(payload, http)
        )
        return _read(entry, entry.read_text if is_text and entry.read_text else read, joined)
    if entry.is_direct and has_text(http):  # no field needs the slower way
        try:
            return convert(with_parameters(payload, http), entry.input, strict=False)
        except ValidationError:
            pass
    has_all_text = binding.is_native and has_text(http)
    return binding.read(entry.read_text if has_all_text else read, payload, http)


def _read(entry: Entry, read: Convert, payload: Any) -> Any:
    """Return the declared input; ``read`` is slower than msgspec and finds all errors."""
    if entry.is_native:
        try:
            return convert(payload, entry.input)
        except ValidationError:
            pass
    return read(payload)


def answer_of(service: Service[Any, Any], entry: Entry, returned: Any) -> Any:
    """Return the checked payload: that of the response, or else the result of ``handle``."""
    response = service._response
    payload = returned
    if response is not None and (returned is None or not _is_untouched(response.payload)):
        payload = response.payload
    if entry.write is None or type(payload) is entry.output:
        return payload
    try:
        return entry.write(payload)
    except InvocationError as error:
        if _is_error_over_http(service):
            return payload.value() if isinstance(payload, PayloadBuilder) else payload
        raise InvocationError(f"service {entry.name}: {error}") from error


def _is_error_over_http(service: Service[Any, Any]) -> bool:
    """Return True if the answer is an error that the service describes to an HTTP client."""
    response = service._response
    if response is None or service._parent is not None or service._root.http is None:
        return False
    status: Any = response.status_code  # a service may have set anything
    return isinstance(status, int) and status >= _FIRST_ERROR


def _is_untouched(payload: Any) -> bool:
    return payload is None or (isinstance(payload, PayloadBuilder) and payload.value() is None)


def _lifecycle(service: Service[Any, Any], entry: Entry) -> Steps:
    hooks = entry.hooks
    if "accept" in hooks and (yield service.accept()) is False:
        raise BadInputError(f"Service `{entry.name}` refused the invocation")
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
    names = ("before_handle", "validate_input")
    return ("before_job", f"before_{job_type}_job", *names) if job_type else names


def _after(job_type: str) -> tuple[str, ...]:
    names = ("validate_output", "after_handle")
    return (*names, f"after_{job_type}_job", "after_job") if job_type else names


def _handle(service: Service[Any, Any], entry: Entry) -> Any:
    http = service.http
    if http is not None and entry.verbs:
        method = http.method
        if method == "HEAD" and "HEAD" not in entry.verbs:
            method = "GET"  # HTTP sends its answer without the body
        if method in entry.verbs:
            return getattr(service, f"handle_{method}")()
        if not entry.has_handle:
            allow = {*entry.verbs, *(("HEAD",) if "GET" in entry.verbs else ())}
            text = f"Service `{entry.name}` does not handle {http.method}"
            raise MethodNotAllowedError(text, sorted(allow))
    return service.handle()
