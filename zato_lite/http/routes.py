"""From a method and a path to what answers: pure, decided when the table is built."""

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Generic, NamedTuple, TypeVar
from urllib.parse import unquote

from zato_lite.deploy.ownership import Claim
from zato_lite.errors import ConfigError
from zato_lite.http.message import Request, Response
from zato_lite.service.message import Caller

T = TypeVar("T")

Handler = Callable[[Request, Caller | None], Awaitable[Response]]

_METHOD = re.compile(r"[A-Z]+\Z")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}\Z")
_ANY = "*"


class Route(NamedTuple):
    """A path of the server's own and what answers there.

    Attributes:
        path: exact, or ending in ``/*`` for everything below.
        role: the least role it takes; None lets anybody in.
    """

    methods: tuple[str, ...]
    path: str
    handler: Handler
    role: str | None = "viewer"


class Channel(NamedTuple):
    """What a REST channel answers to: methods (``*`` for any) and the pieces of its path."""

    methods: tuple[str, ...]
    pieces: tuple[str, ...]

    @property
    def path(self) -> str:
        """The path as it was declared."""
        return "/" + "/".join(self.pieces)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of what varies in the path."""
        return tuple(match[1] for piece in self.pieces if (match := _PARAMETER.match(piece)))


class Found(NamedTuple, Generic[T]):
    """What answers, the values of the path's parameters, and the path as it was declared."""

    target: T
    params: Mapping[str, str]
    route: str = ""


class Redirect(NamedTuple):
    """The path is known; it answers to these methods only."""

    allow: tuple[str, ...]


def parse_channel(text: str) -> Channel:
    """The channel that ``GET /customers/{id}``, ``GET,POST /a`` or ``/any-method`` declares.

    Raises:
        ConfigError: the text declares none.
    """
    methods, _, path = text.strip().rpartition(" ")
    names = tuple(name.strip().upper() for name in methods.split(",")) if methods else (_ANY,)
    if not path.startswith("/") or not all(n == _ANY or _METHOD.match(n) for n in names):
        raise ConfigError(f"{text!r} is no channel; write it like 'GET /customers/{{id}}'")
    channel = Channel(names, tuple(path.removeprefix("/").split("/")))
    wrong = [p for p in channel.pieces if ("{" in p or "}" in p) and not _PARAMETER.match(p)]
    if wrong or len(set(channel.parameters)) != len(channel.parameters):
        raise ConfigError(f"{text!r}: a parameter is a whole piece of the path, once, like {{id}}")
    return channel


def channels_of(cls: type) -> list[Channel]:
    """The channels that ``rest`` on a service's class declares: a text, or several.

    Raises:
        ConfigError: it is something else, or one of them is no channel.
    """
    declared = getattr(cls, "rest", None) or ()
    texts = [declared] if isinstance(declared, str) else declared
    if not isinstance(texts, list | tuple) or not all(isinstance(it, str) for it in texts):
        raise ConfigError(f"rest: {declared!r} is neither a text nor a list of texts")
    return [parse_channel(text) for text in texts]


def claims_of(channels: Iterable[Channel]) -> Iterator[Claim]:
    """What channels claim for themselves alone: methods of paths, however parameters are named."""
    for channel in channels:
        pieces = ["{}" if _PARAMETER.match(piece) else piece for piece in channel.pieces]
        for method in channel.methods:
            yield Claim("Channel", f"{method} /{'/'.join(pieces)}")


class _Node(Generic[T]):
    """A place in a path: what follows it, and what answers there."""

    __slots__ = ("literals", "parameter", "verbs")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.parameter: _Node[T] | None = None
        self.verbs: dict[str, tuple[Channel, T]] = {}


class Table(Generic[T]):
    """Channels and what answers them. A literal piece wins over a parameter, left to right."""

    def __init__(self, channels: Iterable[tuple[Channel, T]]) -> None:
        self._root: _Node[T] = _Node()
        self.channels: list[tuple[Channel, T]] = []
        for channel, target in channels:
            self._add(channel, target)

    def find(self, method: str, raw_path: str) -> Found[T] | Redirect | None:
        """What answers a request for the path as it was sent (percent-encoded), or None."""
        if not self.channels:
            return None
        pieces = [unquote(piece) for piece in raw_path.removeprefix("/").split("/")]
        found = _walk(self._root, pieces, 0, ())
        if found is None:
            return None
        verbs, values = found
        wanted = "GET" if method == "HEAD" and "HEAD" not in verbs else method
        known = verbs.get(wanted) or verbs.get(_ANY)
        if known is None:
            return Redirect(allowed(verbs))
        channel, target = known
        return Found(target, dict(zip(channel.parameters, values, strict=True)), channel.path)

    def _add(self, channel: Channel, target: T) -> None:
        node = self._root
        for piece in channel.pieces:
            if not _PARAMETER.match(piece):
                node = node.literals.setdefault(piece, _Node())
                continue
            if node.parameter is None:
                node.parameter = _Node()
            node = node.parameter
        for method in channel.methods:
            if method in node.verbs:
                raise ConfigError(f"{method} {channel.path} is declared twice")
            node.verbs[method] = (channel, target)
        self.channels.append((channel, target))


def allowed(methods: Iterable[str]) -> tuple[str, ...]:
    """The methods for an Allow header; who answers GET answers HEAD."""
    found = set(methods)
    return tuple(sorted(found | {"HEAD"} if "GET" in found else found))


def _walk(
    node: _Node[T], pieces: list[str], at: int, values: tuple[str, ...]
) -> tuple[dict[str, tuple[Channel, T]], tuple[str, ...]] | None:
    if at == len(pieces):
        return (node.verbs, values) if node.verbs else None
    piece = pieces[at]
    found = None
    if (literal := node.literals.get(piece)) is not None:
        found = _walk(literal, pieces, at + 1, values)
    if found is None and piece and node.parameter is not None:
        found = _walk(node.parameter, pieces, at + 1, (*values, piece))
    return found
