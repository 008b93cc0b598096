"""Zato's ``Service``: the attributes and signatures that services written for Zato use."""

import logging
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

from zato_lite.clock import SystemClock
from zato_lite.errors import DeadlineError, NotOfferedError
from zato_lite.service.attribute_dict import AttributeDict
from zato_lite.service.base import Service as AnyService
from zato_lite.service.base import payload_or
from zato_lite.service.blocking import BlockingService
from zato_lite.service.naming import name_of
from zato_lite.service.payload import plain
from zato_lite.service.sync_aware import LazyAttribute, SyncAwareMethod
from zato_lite.wire import decode, encode
from zato_lite.zato.api import DATA_FORMAT
from zato_lite.zato.bunch import bunchify
from zato_lite.zato.not_offered import ATTRIBUTES, lacking
from zato_lite.zato.outgoing import ZatoOutgoing
from zato_lite.zato.patterns import ZatoPatterns
from zato_lite.zato.redis import ZatoCaches, ZatoKvdb
from zato_lite.zato.request import ZatoRequest, ZatoServer, wsgi_environ
from zato_lite.zato.time import ZatoTime

_CLOCK = SystemClock()
_log = logging.getLogger(__name__)

_CALLBACK = "-async-callback"
"""Suffix of a service that ``invoke_async`` uses as the default callback."""

_SUPPRESSED = "(suppressed)"


class NotOffered:
    """Attribute of Zato's ``self`` that zato-lite lacks; reading it raises an error.

    On the class it is None.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return None
        raise lacking("self", self._name)


class Rest:
    """``self.rest``: the outgoing HTTP connections; on the class None, as it declares channels."""

    def __get__(self, instance: Any, owner: type) -> Any:
        return None if instance is None else instance.out.rest


class Spawned:
    """A function that runs in another thread; ``get`` waits for its result."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Return the result, or raise the error."""
        return self._future.result(timeout if block else 0)

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end and ignore the result."""
        self._future.exception(timeout)

    def ready(self) -> bool:
        """Return True if the function has ended."""
        return self._future.done()

    @property
    def value(self) -> Any:
        """Return the result after a successful end; else None."""
        has_result = self._future.done() and self._future.exception() is None
        return self._future.result() if has_result else None


class Service(BlockingService[Any, Any]):
    """Zato's base class: a plain ``handle``, and calls that return results.

    Its ``invoke`` and ``invoke_async`` take Zato's options; those of ``zato_lite.Service`` use
    every unknown keyword argument as the payload.
    """

    # The base class itself is not a service.
    DONT_DEPLOY: ClassVar[bool] = True

    in_reply_to: Any = None
    """Always None; for Zato's services."""

    has_free_payload: ClassVar[bool] = True
    """Without a declared output, ``response.payload`` may be set part by part."""

    slow_threshold: int = sys.maxsize
    """Never reached; for Zato's services."""

    rest = Rest()
    cache = SyncAwareMethod[ZatoCaches, ZatoCaches](
        lambda self: ZatoCaches(self._invoker, self._resolve, in_thread=self._in_thread),
        is_kept=False,
    )
    kvdb = SyncAwareMethod[ZatoKvdb, ZatoKvdb](
        lambda self: ZatoKvdb(self._invoker.connections, in_thread=self._in_thread)
    )
    patterns = SyncAwareMethod[ZatoPatterns, ZatoPatterns](
        lambda self: self._zato_patterns(), is_kept=False
    )
    server = SyncAwareMethod[ZatoServer, ZatoServer](
        lambda self: ZatoServer(self, self._invoker), is_kept=False
    )
    out: SyncAwareMethod[ZatoOutgoing, ZatoOutgoing] = SyncAwareMethod(
        lambda self: ZatoOutgoing(
            self, self._invoker.connections, self._resolve, in_thread=self._in_thread
        ),
        is_kept=False,
    )

    def __init__(self) -> None:
        self._made_at = _CLOCK.monotonic()

    @property
    def request(self) -> ZatoRequest:
        """Return the request of this invocation."""
        found: Any = super().request
        if type(found) is not ZatoRequest:
            found = ZatoRequest(found.input, found.payload, found.invocation)
            self._request = found
        return cast("ZatoRequest", found)

    @LazyAttribute
    def time(self) -> ZatoTime:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Return the current time in several forms."""
        return ZatoTime(self._invoker.now, self._stored)

    @property
    def redis(self) -> Any:
        """Return the client of Redis or Valkey, ``self.kvdb.conn``."""
        return self.kvdb.conn

    @property
    def data_format(self) -> str:
        """Return ``json``."""
        return self.channel.data_format

    @property
    def transport(self) -> str:
        """Return ``plain_http`` for an HTTP request, else an empty text."""
        return "plain_http" if self.http is not None else ""

    @property
    def processing_time_raw(self) -> timedelta:
        """Return the time since the service began."""
        return timedelta(seconds=_CLOCK.monotonic() - self._made_at)

    @property
    def processing_time(self) -> float:
        """Return the milliseconds since the service began."""
        return self.processing_time_raw.total_seconds() * 1000

    @property
    def handle_return_time(self) -> datetime:
        """Return the current time: UTC, naive as in Zato."""
        return self._invoker.now().replace(tzinfo=None)

    @property
    def outgoing(self) -> ZatoOutgoing:
        """Return ``out``, under its longer name."""
        return self.out

    @property
    def email(self) -> ZatoOutgoing:
        """Return the outgoing connections, of which ``smtp`` are mail servers."""
        return self.out

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
        """Invoke another service and return its answer.

        Args:
            name: its name or its class.
            payload: its payload; the default is the other keyword arguments.
            channel, transport: options of Zato without effect.
            data_format: ``json`` for a payload that is JSON, to be parsed.
            serialize: return the answer as JSON. as_bunch: return it with attribute access.
            timeout: seconds that it may take; 0 for no limit.
            raise_timeout: False returns None when the timeout has passed.
            skip_response_elem: unwrap an answer whose only key is its ``response_elem``,
                ``response`` or ``zato…``.
            kwargs: the payload, when none is given; otherwise without effect.
        """
        if kwargs and (payload is None or payload == ""):
            payload = kwargs
        payload = _parsed(payload, data_format)
        answer = self._invoker.call(self, name, _none_if_empty(payload), timeout or None)
        if serialize or as_bunch or skip_response_elem or not raise_timeout:
            elem = self._response_elem(name) if skip_response_elem else None
            options = (serialize, as_bunch, elem, raise_timeout)
            answer = _converted(answer, *options)
        return self._resolve(answer)

    def invoke_by_id(self, service_id: int, *args: Any, **kwargs: Any) -> Any:
        """Invoke another service by its id in ``zato.service.get-list``."""
        name = self._invoker.find_service_by_id(service_id).name
        return self.invoke(name, *args, **kwargs)

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
        """Save an invocation of another service, which survives a crash; return the run's id.

        Args:
            name: its name or its class.
            payload: its payload; the default is the other keyword arguments.
            channel, transport, expiration, cid, zato_ctx, environ: options of Zato without
                effect; the run does not expire, and its cid is this service's.
            data_format: ``json`` for a payload that is JSON, to be parsed.
            to_json_string: send the payload as JSON.
            callback: a service, its class, this service, or a list with one of them; the default
                is the service with this one's name and ``-async-callback``, if it is deployed.
            kwargs: options of ``zato_lite.Service``: ``delay``, ``retries``, ``retry_delay``,
                ``retry_backoff``, ``timeout``, ``on_behalf_of``; the others are the payload, when
                none is given.
        """
        options = {key: kwargs.pop(key) for key in _OPTIONS if key in kwargs}
        if kwargs:
            payload = payload_or(kwargs, payload)
        payload = _parsed(payload, data_format)
        if to_json_string:
            payload = encode(payload, plain).decode()
        options["callback"] = self._callback_name(callback)
        return super().invoke_async(name, _none_if_empty(payload), **options)

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Spawned:
        """Call a function in another worker thread without waiting for it."""
        future = self._invoker.spawn(lambda: function(*args, **kwargs))
        future.add_done_callback(_log_failure)
        return Spawned(future)

    def run_in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function in another worker thread and return its result."""
        return self._resolve(self._invoker.run_in_thread(lambda: function(*args, **kwargs)))

    def new_instance(self, service_name: str) -> AnyService[Any, Any]:
        """Create an instance of another service for this invocation, without invoking it."""
        return self._invoker.new_instance(self, service_name)

    def log_input(
        self, user_msg: str = "", level: int = logging.INFO, suppress_keys: Any = ()
    ) -> None:
        """Log the request of the service, unless ``request.payload`` is suppressed."""
        is_shown = "request.payload" not in (suppress_keys or ())
        self._log_message(level, user_msg, self.request.raw_request if is_shown else _SUPPRESSED)

    def log_output(
        self, user_msg: str = "", level: int = logging.INFO, suppress_keys: Any = ()
    ) -> None:
        """Log the answer of the service, unless ``response.payload`` is suppressed."""
        is_shown = "response.payload" not in (suppress_keys or ())
        self._log_message(level, user_msg, self.response.payload if is_shown else _SUPPRESSED)

    def _log_message(self, level: int, user_msg: str, message: Any) -> None:
        self.logger.log(level, "%s%s", f"{user_msg} " if user_msg else "", message)

    @classmethod
    def get_impl_name(cls) -> str:
        """Return the full name of the class."""
        return f"{cls.__module__}.{cls.__qualname__}"

    @property
    def impl_name(self) -> str:
        """Return the full name of the class."""
        return self.get_impl_name()

    @property
    def environ(self) -> AttributeDict:
        """Return a dictionary for values that methods of the invocation share."""
        environ = vars(self).setdefault("_environ", AttributeDict())
        return cast("AttributeDict", environ)

    @property
    def wsgi_environ(self) -> dict[str, Any]:
        """Return the HTTP request as a WSGI environment; empty if there is none."""
        return wsgi_environ(self.http) if self.http is not None else {}

    @property
    def invocation_time(self) -> datetime:
        """Return the time of the invocation: UTC, naive as in Zato."""
        return (self._invoker.now() - self.processing_time_raw).replace(tzinfo=None)

    @property
    def usage(self) -> int:
        """Return the number of invocations of the service since its first deployment."""
        service = self._invoker.find_service(self.get_name())
        return service.calls if service is not None else 0

    def _response_elem(self, target: Any) -> str:
        """Return the key under which a service declares that its answer is."""
        name = name_of(target)
        output = getattr(self._invoker.find_service(name), "output", None)
        return str(getattr(output, "response_elem", ""))

    def _stored(self, key: str) -> str | None:
        found: str | None = self.kvdb.conn.get(key)
        return found

    def _zato_patterns(self) -> ZatoPatterns:
        found: Any = super()._patterns()
        return ZatoPatterns(self, self._invoker, self._resolve, found)

    def _callback_name(self, callback: Any) -> Any:
        if isinstance(callback, (list, tuple)):
            if len(callback) > 1:
                raise NotOfferedError(
                    "zato-lite supports one callback per run; let it invoke the others"
                )
            callback = callback[0] if callback else None
        if callback:
            return callback.get_name() if isinstance(callback, AnyService) else callback
        name = self.get_name() + _CALLBACK
        return name if self._invoker.find_service(name) is not None else None


for _name in ATTRIBUTES:
    setattr(Service, _name, NotOffered(_name))


class AdminService(Service):
    """Zato's base class of administrative services."""

    DONT_DEPLOY: ClassVar[bool] = True


_OPTIONS = ("delay", "retries", "retry_delay", "retry_backoff", "timeout", "on_behalf_of")


async def _converted(
    answer: Coroutine[Any, Any, Any],
    serialize: bool,
    wants_bunch: bool,
    elem: str | None,
    raise_timeout: bool,
) -> Any:
    """Return the answer in the form that Zato's options request."""
    try:
        payload = await answer
    except DeadlineError:
        if raise_timeout:
            raise
        return None
    if elem is not None and isinstance(payload, dict):
        keys = [key for key in payload if key != "_meta"]
        if len(keys) == 1 and (keys[0] in {"response", elem} or str(keys[0]).startswith("zato")):
            payload = payload[keys[0]]
    if serialize:
        return encode(payload, plain).decode()
    if wants_bunch:
        return bunchify(payload if isinstance(payload, (dict, list)) else plain(payload))
    return payload


def _parsed(payload: Any, data_format: str) -> Any:
    """Return the values of a payload that is JSON."""
    is_json = data_format == DATA_FORMAT.JSON and isinstance(payload, str | bytes) and payload
    return decode(payload) if is_json else payload


def _none_if_empty(payload: Any) -> Any:
    """Return the payload; an empty text is Zato's value for none."""
    return None if isinstance(payload, str) and not payload else payload


def _log_failure(future: Future[Any]) -> None:
    if not future.cancelled() and (error := future.exception()) is not None:
        _log.error("spawned function failed", exc_info=error)
