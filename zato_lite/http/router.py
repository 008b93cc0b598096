"""Router: maps a method and a path to the route or service that answers there. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote

from zato_lite.errors import ConfigError
from zato_lite.http.routes import ANY_METHOD, PARAMETER, Channel, Route

INVOKE_PREFIX = "/zato/api/invoke/"
_UNQUOTED = "/*-._~!$&'()+,;=:@"
PING_PATH = "/zato/ping"
PING_SERVICE = "zato.ping"


class Target(NamedTuple):
    """A service that answers a request.

    Attributes:
        params: values of the path's parameters.
        route: the path as it was declared, with ``{…}`` for parameters.
        is_public: no credentials are needed.
    """

    service: str
    params: Mapping[str, str] = {}
    route: str = ""
    is_public: bool = False


class WrongMethod(NamedTuple):
    """A known path that answers only to the methods in ``allow``."""

    allow: tuple[str, ...]


class Router:
    """The routes of the server itself and the services' REST channels.

    Attributes:
        routes: the routes of the server itself.
        table: the REST channels; replaced as a whole when services were deployed or removed.
    """

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.table = ChannelTable(())
        self._exact: dict[str, dict[str, Route | Target]] = {
            PING_PATH: dict.fromkeys(("GET", "POST"), Target(PING_SERVICE, is_public=True))
        }
        self._prefixes: list[str] = []
        self._fallbacks: dict[str, dict[str, Route | Target]] = {}

    def add(self, routes: Iterable[Route]) -> None:
        """Add routes of the server itself; all but fallbacks win over REST channels."""
        for route in routes:
            self.routes.append(route)
            path = quote(route.path, safe=_UNQUOTED)
            if route.is_fallback:
                self._fallbacks[path] = dict.fromkeys(route.methods, route)
                continue
            self._exact.setdefault(path, {}).update(dict.fromkeys(route.methods, route))
            if path.endswith("/*"):
                self._prefixes.append(path[:-1])

    def find(self, method: str, raw_path: str) -> Route | Target | WrongMethod | None:
        """Return what answers the request; None if the path is unknown.

        Args:
            method: in upper case.
            raw_path: as it was sent: an encoded slash is data, and a rule for ``/zato/`` in a
                proxy holds for all paths that the server reads as such (RFC 3986, 2.2).
        """
        if raw_path.startswith(INVOKE_PREFIX):
            return Target(unquote(raw_path.removeprefix(INVOKE_PREFIX)))
        verbs = self._exact.get(raw_path) or self._find_prefix(raw_path)
        if verbs is None:
            found = self.table.find(method, raw_path)
            if found is not None or (verbs := self._fallbacks.get(raw_path)) is None:
                return found
        return verbs.get(_effective(method, verbs)) or WrongMethod(allowed_methods(verbs))

    def _find_prefix(self, path: str) -> Mapping[str, Route | Target] | None:
        below = path if path.endswith("/") else f"{path}/"
        prefix = next((known for known in self._prefixes if below.startswith(known)), None)
        return self._exact[f"{prefix}*"] if prefix is not None else None


class ChannelTable:
    """REST channels with the services behind them.

    A literal segment wins over a parameter, from left to right.
    """

    def __init__(self, channels: Iterable[tuple[Channel, str]]) -> None:
        self._root = _Node()
        self.channels: list[tuple[Channel, str]] = []
        for channel, service in channels:
            self._add(channel, service)

    def find(self, method: str, raw_path: str) -> Target | WrongMethod | None:
        """Return the service for a path as it was sent (percent-encoded), or None."""
        if not self.channels:
            return None
        segments = [unquote(segment) for segment in raw_path.removeprefix("/").split("/")]
        found = _walk(self._root, segments, 0, ())
        if found is None:
            return None
        verbs, values = found
        match = verbs.get(_effective(method, verbs)) or verbs.get(ANY_METHOD)
        if match is None:
            return WrongMethod(allowed_methods(verbs))
        channel, service = match
        return Target(service, dict(zip(channel.parameters, values, strict=True)), channel.path)

    def _add(self, channel: Channel, service: str) -> None:
        node = self._root
        for segment in channel.segments:
            if not PARAMETER.match(segment):
                node = node.literals.setdefault(segment, _Node())
                continue
            if node.parameter is None:
                node.parameter = _Node()
            node = node.parameter
        for method in channel.methods:
            if method in node.verbs:
                raise ConfigError(f"{method} {channel.path} is declared twice")
            node.verbs[method] = (channel, service)
        self.channels.append((channel, service))


class _Node:
    """A position in a path: the segments that may follow and the services that answer here."""

    __slots__ = ("literals", "parameter", "verbs")

    def __init__(self) -> None:
        self.literals: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.verbs: dict[str, tuple[Channel, str]] = {}


def allowed_methods(methods: Iterable[str]) -> tuple[str, ...]:
    """Return the methods for an Allow header; GET includes HEAD."""
    allowed = set(methods)
    return tuple(sorted(allowed | {"HEAD"} if "GET" in allowed else allowed))


def _effective(method: str, verbs: Mapping[str, object]) -> str:
    """Return GET for a HEAD request without a handler of HEAD."""
    return "GET" if method == "HEAD" and "HEAD" not in verbs else method


def _walk(
    node: _Node, segments: list[str], depth: int, values: tuple[str, ...]
) -> tuple[dict[str, tuple[Channel, str]], tuple[str, ...]] | None:
    if depth == len(segments):
        return (node.verbs, values) if node.verbs else None
    segment = segments[depth]
    found = None
    if (literal := node.literals.get(segment)) is not None:
        found = _walk(literal, segments, depth + 1, values)
    if found is None and segment and node.parameter is not None:
        found = _walk(node.parameter, segments, depth + 1, (*values, segment))
    return found
