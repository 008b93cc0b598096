"""Routes and REST channels as they are declared: a path, its methods, and what answers. Pure."""

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from difflib import get_close_matches
from typing import Any, NamedTuple, Protocol

from zato_lite.deploy.ownership import Claim
from zato_lite.errors import ConfigError
from zato_lite.http.message import Request, Response
from zato_lite.service.message import Caller

Handler = Callable[[Request, Caller | None], Awaitable[Response]]

ANY_METHOD = "*"
PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}\Z")

# Those that the parser of requests knows, besides CONNECT.
_METHODS = {
    "ACL", "BIND", "CHECKOUT", "COPY", "DELETE", "GET", "HEAD", "LINK", "LOCK", "MERGE",
    "MKACTIVITY", "MKCALENDAR", "MKCOL", "MOVE", "M-SEARCH", "NOTIFY", "OPTIONS", "PATCH", "POST",
    "PROPFIND", "PROPPATCH", "PURGE", "PUT", "REBIND", "REPORT", "SEARCH", "SOURCE", "SUBSCRIBE",
    "TRACE", "UNBIND", "UNLINK", "UNLOCK", "UNSUBSCRIBE",
}  # fmt: skip


class Route(NamedTuple):
    """A path of the server itself and its handler.

    Attributes:
        path: exact, or ending in ``/*`` for everything below.
        role: the lowest role that is admitted; None admits requests without credentials.
        is_fallback: it answers only where neither another route nor a REST channel does.
    """

    methods: tuple[str, ...]
    path: str
    handler: Handler
    role: str | None = "viewer"
    is_fallback: bool = False


class Entry(Protocol):
    """A deployed service, as far as HTTP is concerned."""

    @property
    def id(self) -> int:
        """Number of the service, while this process runs."""
        ...

    @property
    def name(self) -> str:
        """Name of the service."""
        ...

    @property
    def cls(self) -> type:
        """Class of the service; ``rest`` on it declares its channels."""
        ...

    @property
    def is_internal(self) -> bool:
        """True for a built-in service."""
        ...

    @property
    def input(self) -> Any:
        """Declared type of the input, or None."""
        ...

    @property
    def output(self) -> Any:
        """Declared type of the output, or None."""
        ...


class Services(Protocol):
    """The deployed services."""

    def __contains__(self, name: object) -> bool: ...

    def __iter__(self) -> Iterator[Entry]: ...

    def suggestion(self, name: str, patterns: Collection[str]) -> str:
        """Return the end of a sentence about an unknown name: the nearest that match, if any."""
        ...

    def by_id(self, service_id: Any) -> Entry:
        """Return the service of this id.

        Raises:
            ServiceMissingError: no service has it.
        """
        ...


class Channel(NamedTuple):
    """A REST channel: methods (``*`` for any) and the segments of its path."""

    methods: tuple[str, ...]
    segments: tuple[str, ...]

    @property
    def path(self) -> str:
        """The path as it was declared."""
        return "/" + "/".join(self.segments)

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters."""
        return tuple(match[1] for text in self.segments if (match := PARAMETER.match(text)))


def parse_channel(text: str) -> Channel:
    """Parse a channel such as ``GET /customers/{id}``, ``GET,POST /a`` or ``/any-method``.

    Raises:
        ConfigError: the text is not a valid channel.
    """
    methods, _, path = text.strip().rpartition(" ")
    names = (
        tuple(name.strip().upper() for name in methods.split(",")) if methods else (ANY_METHOD,)
    )
    if not path.startswith("/"):
        raise ConfigError(
            f"not a valid REST channel: {text!r}; write it like 'GET /customers/{{id}}'"
        )
    for name in names:
        if name != ANY_METHOD and name not in _METHODS:
            near = get_close_matches(name, sorted(_METHODS), 1)
            hint = f"did you mean {near[0]}?" if near else "use one such as GET, or * for any"
            raise ConfigError(
                f"not a valid REST channel: {text!r}; unknown method {name!r}; {hint}"
            )
    channel = Channel(names, tuple(path.removeprefix("/").split("/")))
    wrong = [s for s in channel.segments if ("{" in s or "}" in s) and not PARAMETER.match(s)]
    if wrong or len(set(channel.parameters)) != len(channel.parameters):
        raise ConfigError(
            f"not a valid REST channel: {text!r}; "
            "a parameter is a whole segment of the path and appears once, like {id}"
        )
    return channel


def channels_of(cls: type) -> list[Channel]:
    """Return the channels that ``rest`` on a service's class declares: one text, or several.

    Raises:
        ConfigError: ``rest`` is something else, or one of the texts is not a valid channel.
    """
    declared = getattr(cls, "rest", None) or ()
    texts = [declared] if isinstance(declared, str) else declared
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ConfigError(f"rest must be a text or a list of texts: {declared!r}")
    return [parse_channel(text) for text in texts]


def claims_of(channels: Iterable[Channel]) -> Iterator[Claim]:
    """Yield what channels own: a method of a path, whatever its parameters are named."""
    for channel in channels:
        segments = ["{}" if PARAMETER.match(text) else text for text in channel.segments]
        for method in channel.methods:
            yield Claim("Channel", f"{method} /{'/'.join(segments)}")
