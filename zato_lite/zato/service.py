"""Zato's ``Service``: what services written for it find in ``self``, the signatures included."""

import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

from zato_lite.clock import SystemClock
from zato_lite.errors import DeadlineError, NotOfferedError
from zato_lite.service.attribute_dict import AttributeDict, with_attributes
from zato_lite.service.base import Service as AnyService
from zato_lite.service.base import payload_or
from zato_lite.service.blocking import BlockingService
from zato_lite.service.message import HttpContext
from zato_lite.service.payload import plain
from zato_lite.wire import encode

_CLOCK = SystemClock()
_log = logging.getLogger(__name__)

_CALLBACK = "-async-callback"
"""What the name of a service ends in that is called back without being asked for."""


class NotOffered:
    """Something that Zato has in ``self`` and zato-lite does not: looking at it says so.

    On the class there is nothing: ``rest`` declares channels there.
    """

    def __init__(self, what: str, instead: str = "") -> None:
        self._what = what
        self._instead = instead
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return None
        instead = f"; {self._instead}" if self._instead else ""
        raise NotOfferedError(f"self.{self._name} is {self._what}, not in zato-lite{instead}")


_A_LIBRARY = "use a client library, with its settings in self.config"
_OUTGOING = "Zato's outgoing connections"


class Spawned:
    """What runs in another thread: ``get`` waits for it and has its result."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Its result, or what it raised."""
        return self._future.result(timeout if block else 0)

    def join(self, timeout: float | None = None) -> None:
        """Wait for it, whatever comes of it."""
        self._future.exception(timeout)

    def ready(self) -> bool:
        """Whether it has ended."""
        return self._future.done()

    @property
    def value(self) -> Any:
        """Its result, once it has ended well; else None."""
        is_well = self._future.done() and self._future.exception() is None
        return self._future.result() if is_well else None


class Service(BlockingService[Any, Any]):
    """Zato's base class: a plain ``handle``, and calls that return what they are asked for.

    Its ``invoke`` and ``invoke_async`` take Zato's options; those of ``zato_lite.Service`` take
    every keyword argument that they do not know for the payload.
    """

    # Nobody can invoke the base class itself.
    DONT_DEPLOY: ClassVar[bool] = True

    in_reply_to: Any = None
    """Zato's; nothing here is in reply to something."""

    amqp = NotOffered("Zato's AMQP connections", _A_LIBRARY)
    cloud = NotOffered("Zato's cloud connections", _A_LIBRARY)
    commands = NotOffered("Zato's shell commands", "use subprocess")
    crypto = NotOffered("Zato's cryptography", "use a library")
    email = NotOffered("Zato's mail connections", "use smtplib, or zato.notify.email")
    kvdb = NotOffered("Zato's Redis", "use self.cache, or a client library")
    metrics = NotOffered("Zato's own metrics", "those of services are in /metrics")
    odb = NotOffered("Zato's database", _A_LIBRARY)
    out = NotOffered(_OUTGOING, _A_LIBRARY)
    outgoing = NotOffered(_OUTGOING, _A_LIBRARY)
    publish = NotOffered("Zato's publish/subscribe", "use self.invoke_async")
    pubsub = NotOffered("Zato's publish/subscribe", "use self.invoke_async")
    redis = NotOffered("Zato's Redis", "use self.cache, or a client library")
    rest = NotOffered("Zato's outgoing REST connections", _A_LIBRARY)
    search = NotOffered("Zato's search connections", _A_LIBRARY)
    security = NotOffered("Zato's security definitions", "who asks is in self.caller")
    sms = NotOffered("Zato's SMS connections", _A_LIBRARY)

    def __init__(self) -> None:
        self._made_at = _CLOCK.monotonic()

    def invoke(  # type: ignore[override] # Zato's signature
        self,
        name: Any,
        payload: Any = "",
        channel: str = "invoke",
        data_format: str = "dict",
        transport: str | None = None,
        serialize: bool = False,
        as_bunch: bool = False,
        timeout: float | None = None,
        raise_timeout: bool = True,
        skip_response_elem: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Invoke another service and return what it answers.

        Args:
            name: its name or its class.
            payload: what it receives; without one, the other keyword arguments.
            channel, data_format, transport: Zato's, of no effect: nothing is converted.
            serialize: have the answer as JSON. as_bunch: have it with attribute access.
            timeout: seconds that it may take; 0 is no limit.
            raise_timeout: False answers None when it takes longer.
            skip_response_elem: unwrap an answer whose only key is ``response`` or ``zato…``.
            kwargs: the payload, when none is given; otherwise Zato's own, of no effect.
        """
        if kwargs and (payload is None or payload == ""):
            payload = kwargs
        answer = self._invoker.call(self, name, _given(payload), timeout or None)
        if serialize or as_bunch or skip_response_elem or not raise_timeout:
            asked = (serialize, as_bunch, skip_response_elem, raise_timeout)
            answer = _as_asked(answer, *asked)
        return self._resolve(answer)

    def invoke_by_id(self, service_id: int, *args: Any, **kwargs: Any) -> Any:
        """Invoke another service by the id that ``zato.service.get-list`` tells."""
        found: Any = self._invoker.find_service_by_id(service_id)
        return self.invoke(found.name, *args, **kwargs)

    def invoke_async(  # type: ignore[override] # Zato's signature
        self,
        name: Any,
        payload: Any = "",
        channel: str = "invoke-async",
        data_format: str = "dict",
        transport: str | None = None,
        expiration: float = 0,
        to_json_string: bool = False,
        cid: str | None = None,
        callback: Any = None,
        zato_ctx: Any = None,
        environ: Any = None,
        **kwargs: Any,
    ) -> Any:
        """Have another service invoked soon, even if this node crashes now; the id of the run.

        Args:
            name: its name or its class.
            payload: what it receives; without one, the other keyword arguments.
            channel, data_format, transport, expiration, cid, zato_ctx, environ: Zato's, of no
                effect: what is kept does not expire, and the cid is this service's.
            to_json_string: send the payload as JSON.
            callback: a service, its class, this service itself, or a list of one of them; without
                one, the service that is called as this one and ``-async-callback``, if there is.
            kwargs: what ``zato_lite.Service`` knows: ``delay``, ``retries``, ``retry_delay``,
                ``retry_backoff``, ``timeout``; the others are the payload, when none is given.
        """
        options = {key: kwargs.pop(key) for key in _OPTIONS if key in kwargs}
        if kwargs:
            payload = payload_or(kwargs, payload)
        if to_json_string:
            payload = encode(payload, plain).decode()
        options["callback"] = self._called_back(callback)
        return super().invoke_async(name, _given(payload), **options)

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Spawned:
        """Call a function in another worker thread; nobody has to wait for it."""
        future = self._invoker.spawn(lambda: function(*args, **kwargs))
        future.add_done_callback(_tell_of_failure)
        return Spawned(future)

    def run_in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function in another worker thread, and have what it returns."""
        return self._resolve(self._invoker.run_in_thread(lambda: function(*args, **kwargs)))

    def new_instance(self, service_name: str) -> AnyService[Any, Any]:
        """An instance of another service, in this one's invocation, that was not invoked."""
        return self._invoker.new_instance(self, service_name)

    def log_input(self, user_msg: str = "") -> None:
        """Log what the service was invoked with."""
        self.logger.info("%s%s", f"{user_msg} " if user_msg else "", self.request.raw_request)

    @classmethod
    def get_impl_name(cls) -> str:
        """The full name of the class."""
        return f"{cls.__module__}.{cls.__qualname__}"

    @property
    def impl_name(self) -> str:
        """The full name of the class."""
        return self.get_impl_name()

    @property
    def environ(self) -> AttributeDict:
        """A place for what the invocation's own parts have to tell each other."""
        found = vars(self).setdefault("_environ", AttributeDict())
        return cast("AttributeDict", found)

    @property
    def wsgi_environ(self) -> dict[str, Any]:
        """The HTTP request in WSGI's words; empty when there is none."""
        return _wsgi(self.http) if self.http is not None else {}

    @property
    def invocation_time(self) -> datetime:
        """When it was invoked: UTC, naive as in Zato."""
        passed = timedelta(seconds=_CLOCK.monotonic() - self._made_at)
        return (self._invoker.now() - passed).replace(tzinfo=None)

    @property
    def usage(self) -> int:
        """How many times the service has been invoked, since it was deployed first."""
        known = self._invoker.find_service(self.get_name())
        return known.calls if known is not None else 0

    def _called_back(self, callback: Any) -> Any:
        if isinstance(callback, (list, tuple)):
            if len(callback) > 1:
                raise NotOfferedError(
                    "a run has one callback in zato-lite; let it invoke the others"
                )
            callback = callback[0] if callback else None
        if callback:
            return callback.get_name() if isinstance(callback, AnyService) else callback
        name = self.get_name() + _CALLBACK
        return name if self._invoker.find_service(name) is not None else None


class AdminService(Service):
    """Zato's base class of administrative services."""

    DONT_DEPLOY: ClassVar[bool] = True


_OPTIONS = ("delay", "retries", "retry_delay", "retry_backoff", "timeout")


async def _as_asked(
    answer: Coroutine[Any, Any, Any],
    serialize: bool,
    wants_bunch: bool,
    is_unwrapped: bool,
    raise_timeout: bool,
) -> Any:
    """The answer in the form that Zato's options ask for."""
    try:
        payload = await answer
    except DeadlineError:
        if raise_timeout:
            raise
        return None
    if is_unwrapped and isinstance(payload, dict):
        keys = [key for key in payload if key != "_meta"]
        if len(keys) == 1 and (keys[0] == "response" or str(keys[0]).startswith("zato")):
            payload = payload[keys[0]]
    if serialize:
        return encode(payload, plain).decode()
    if wants_bunch:
        return with_attributes(payload if isinstance(payload, (dict, list)) else plain(payload))
    return payload


def _given(payload: Any) -> Any:
    """The payload; Zato's word for none is an empty text."""
    return None if isinstance(payload, str) and not payload else payload


def _wsgi(http: HttpContext) -> dict[str, Any]:
    fields = {f"HTTP_{name.upper().replace('-', '_')}": v for name, v in http.headers.items()}
    return {
        **fields,
        "REQUEST_METHOD": http.method,
        "PATH_INFO": http.path,
        "CONTENT_TYPE": http.headers.get("content-type", ""),
        "CONTENT_LENGTH": http.headers.get("content-length", ""),
        "REMOTE_ADDR": http.remote_address,
        "zato.http.remote_addr": http.remote_address,
    }


def _tell_of_failure(future: Future[Any]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        _log.error("what a service spawned has failed", exc_info=error)
