"""HTTP server: listens, counts the connections, and checks their timeouts once a second."""

import asyncio
import errno
import logging
import os
import signal
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from contextvars import copy_context
from functools import partial
from ipaddress import ip_network
from pathlib import Path

import msgspec

from zato_lite.clock import Clock
from zato_lite.errors import ConfigError
from zato_lite.http.body import PlanBody
from zato_lite.http.connection import Connection
from zato_lite.http.head import NoteRefusal, RefusedError
from zato_lite.http.parser import Limits
from zato_lite.http.pipeline import App
from zato_lite.http.throttle import network_of
from zato_lite.http.writer import Renderer

_UNSENT = 65_536
"""Bytes of a response that the kernel buffers beyond the client's window.

Without a limit these are megabytes for each client that reads slowly, copied while others wait."""

_log = logging.getLogger(__name__)
_MAIN = threading.main_thread()


class Tls(msgspec.Struct, frozen=True):
    """A certificate chain and its key, as PEM files."""

    certificate: Path
    key: Path


class Server:
    """The connections of one process, and the state that they share.

    Attributes:
        now: monotonic seconds, updated once a second while there are connections.
        context: the context variables that each request begins with.
        refused: number of connections refused so far because there were too many.
        renew: loads the certificate again; without one it does nothing.
    """

    def __init__(
        self,
        app: App,
        clock: Clock,
        limits: Limits,
        trusted: Iterable[str] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.app, self.limits, self.clock = app, limits, clock
        self.trusted = tuple(ip_network(text) for text in trusted)
        self.trusts_peers = False
        self.plan_body: PlanBody | None = None
        self.note_refusal: NoteRefusal = _no_cid
        self.tls = tls
        self.loop = asyncio.get_running_loop()
        self.context = copy_context()
        self.connections: set[Connection] = set()
        self.addresses: dict[str, int] = {}
        self.targets: dict[bytes, tuple[str, str, bytes]] = {}
        self.hosts: set[bytes] = set()
        self.is_stopping = False
        self.renderer = Renderer()
        self._update_time()
        self.sockets: tuple[socket.socket, ...] = ()
        self.refused = 0
        self.renew: Callable[[], object] = bool
        self._listener: asyncio.Server | None = None
        self._unix: Path | None = None
        self._sweep: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] | None = None

    @property
    def url(self) -> str:
        """The URL of the server, or the path of its socket."""
        if self._unix is not None:
            return f"unix:{self._unix}"
        host = self.sockets[0].getsockname()[0]
        scheme = "https" if self.tls is not None else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.port}"

    @property
    def port(self) -> int:
        """The port of the server; 0 for a unix socket."""
        name = self.sockets[0].getsockname()
        return int(name[1]) if isinstance(name, tuple) else 0

    async def listen(
        self,
        host: str,
        port: int,
        *,
        unix: Path | None = None,
        reuse_port: bool = False,
        backlog: int = 2048,
    ) -> None:
        """Listen at an address or a unix socket.

        Raises:
            ConfigError: the address is in use or not available.
        """
        try:
            if unix is not None:
                self._listener = await self.loop.create_unix_server(
                    self.connect, str(unix), ssl=self.tls, backlog=backlog
                )
                self._unix, self.trusts_peers = unix, True
            else:
                self._listener = await self.loop.create_server(
                    self.connect,
                    host,
                    port,
                    ssl=self.tls,
                    reuse_port=reuse_port or None,
                    backlog=backlog,
                )
        except OSError as error:
            raise _cannot_listen(host, port, unix, error) from error
        self.sockets = tuple(self._listener.sockets)
        if unix is None:
            for listening in self.sockets:  # accepted sockets inherit the option
                listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)

    def connect(self) -> Connection:
        """Return the protocol of a new connection."""
        return Connection(self)

    async def close(self, grace: float = 30.0) -> None:
        """Stop listening; cancel the requests that have not ended after ``grace`` seconds."""
        self.is_stopping = True
        if self._listener is not None:
            self._listener.close()
        if self._unix is not None:
            self._unix.unlink(missing_ok=True)
        for connection in tuple(self.connections):
            connection.stop()
        if not await self._all_gone(grace):
            for connection in tuple(self.connections):
                connection.abort()
            await self._all_gone(1.0)
        if self._sweep is not None:
            self._sweep.cancel()

    def add(self, connection: Connection) -> bool:
        """Count the connection in; return False if there are too many."""
        limits, address = self.limits, network_of(connection.peer)
        count = self.addresses.get(address, 0)
        if len(self.connections) >= limits.connections or count >= limits.per_address:
            self.refused += 1
            return False
        self.addresses[address] = count + 1
        self.connections.add(connection)
        if self._sweep is None:
            self._update_time()
            self._sweep = self.loop.call_later(1.0, self.sweep)
        return True

    def remove(self, connection: Connection) -> None:
        """Count the connection out."""
        if connection not in self.connections:
            return
        self.connections.remove(connection)
        address = network_of(connection.peer)
        count = self.addresses.get(address, 1) - 1
        if count:
            self.addresses[address] = count
        else:
            self.addresses.pop(address, None)
        if self._gone is not None and not self.connections and not self._gone.done():
            self._gone.set_result(None)

    def sweep(self) -> None:
        """Check the timeouts of all connections; stop when there are none."""
        self._sweep = None
        self._update_time()
        for connection in tuple(self.connections):
            connection.check_timeouts(self.now)
        if self.connections:
            self._sweep = self.loop.call_later(1.0, self.sweep)

    def _update_time(self) -> None:
        self.now = self.clock.monotonic()
        self.renderer.set_time(self.clock.now() // 1_000_000)

    async def _all_gone(self, seconds: float) -> bool:
        if self.connections:
            self._gone = self.loop.create_future()
            await asyncio.wait([self._gone], timeout=seconds)
        return not self.connections


def tls_context(tls: Tls) -> ssl.SSLContext:
    """Return a context for TLS 1.2 and later; loading the files again renews the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(tls.certificate, tls.key)
    return context


@asynccontextmanager
async def serve(
    app: App,
    host: str = "127.0.0.1",
    port: int = 17010,
    *,
    clock: Clock,
    limits: Limits | None = None,
    grace: float = 30.0,
    tls: Tls | None = None,
    unix: Path | None = None,
    reuse_port: bool = False,
    trusted_proxies: Iterable[str] = (),
    plan_body: PlanBody | None = None,
    note_refusal: NoteRefusal | None = None,
) -> AsyncIterator[Server]:
    """Serve at the address for as long as the block lasts; then stop within ``grace`` seconds."""
    context = tls_context(tls) if tls is not None else None
    server = Server(app, clock, limits or Limits(), trusted_proxies, context)
    server.plan_body = plan_body
    server.note_refusal = note_refusal or _no_cid
    await server.listen(host, port, unix=unix, reuse_port=reuse_port)
    renews_at_signal = False
    if tls is not None and context is not None:
        server.renew = partial(_renew, context, tls)
        # A process that handles SIGHUP itself calls ``renew``.
        is_free = not callable(signal.getsignal(signal.SIGHUP))
        renews_at_signal = is_free and threading.current_thread() is _MAIN
    if renews_at_signal:
        server.loop.add_signal_handler(signal.SIGHUP, server.renew)
    try:
        yield server
    finally:
        if renews_at_signal:
            server.loop.remove_signal_handler(signal.SIGHUP)
        await server.close(grace)


def _no_cid(refused: RefusedError, address: str) -> str:
    return ""


def _renew(context: ssl.SSLContext, tls: Tls) -> None:
    """Load the certificate again; open connections keep the present one."""
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError):
        _log.exception("certificate not renewed", extra={"path": str(tls.certificate)})
    else:
        _log.info("certificate renewed", extra={"path": str(tls.certificate)})


def check_address_free(
    host: str, port: int, *, unix: Path | None = None, reuse_port: bool = False
) -> None:
    """Refuse an address in use before the rest of the server starts.

    Raises:
        ConfigError: the address is in use.
    """
    try:
        if unix is not None:
            _check_socket_free(unix)
            return
        for family, kind, protocol, _, address in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if reuse_port:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:  # listen() reports the other errors
            raise _cannot_listen(host, port, unix, error) from error


def _check_socket_free(unix: Path) -> None:
    """Raise if a server answers at the socket; listen() replaces the socket of a dead one."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(FileNotFoundError, ConnectionError):
        probe.connect(str(unix))
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _cannot_listen(host: str, port: int, unix: Path | None, error: OSError) -> ConfigError:
    place = str(unix) if unix is not None else f"{host}:{port}"
    return ConfigError(f"cannot listen on {place}: {error.strerror or error}")
