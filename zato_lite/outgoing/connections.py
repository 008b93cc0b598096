"""Connections: opens what the settings configure, by name, and replaces it when they change."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import msgspec

from zato_lite.errors import ConfigError, UnknownConnectionError
from zato_lite.outgoing.figures import Figures
from zato_lite.outgoing.http import FakeClient, RestConnection, Traced
from zato_lite.outgoing.mail import Outbox, SmtpConnection, SMTPMessage
from zato_lite.outgoing.settings import material_of, read_file, require, secret_of
from zato_lite.outgoing_config import Cache, Outgoing, Rest, Smtp, Sql

if TYPE_CHECKING:  # an extra
    from zato_lite.outgoing.redis import RedisConnection
    from zato_lite.outgoing.sql import SqlConnection

_log = logging.getLogger(__name__)


class Closable(Protocol):
    """A connection, or a pool of them."""

    async def close(self) -> None:
        """Close it."""
        ...


C = TypeVar("C", bound=Closable)


class Shared(Generic[C]):
    """A connection that several invocations use, each within ``async with``.

    It is closed after the last of them.

    Attributes:
        key: the settings that it was made from; a change of them replaces the connection.
    """

    __slots__ = ("_connection", "_is_retired", "_users", "key")

    def __init__(self, connection: C, key: object) -> None:
        self.key = key
        self._connection = connection
        self._users = 0
        self._is_retired = False

    def begin(self) -> C:
        """Return the connection to a user, who calls ``end`` afterwards."""
        self._users += 1
        return self._connection

    def end(self) -> bool:
        """Return True if this was the last user of a retired connection, who closes it then."""
        self._users -= 1
        return self._is_retired and not self._users

    async def __aenter__(self) -> C:
        return self.begin()

    async def __aexit__(self, *_: object) -> None:
        if self.end():
            await self.close()

    @property
    def connection(self) -> C:
        """The connection, of a kind that counts its users itself."""
        return self._connection

    async def close(self) -> None:
        """Close the connection."""
        await self._connection.close()

    async def retire(self) -> None:
        """Close the connection as soon as it has no users."""
        self._is_retired = True
        if not self._users:
            await self._connection.close()


class Kind(Generic[C]):
    """Connections of one kind, by name.

    Args:
        name: ``rest``, for ``[outgoing.rest.NAME]``.
        place: the table of a connection's settings, with ``{}`` for its name.
        make: makes a connection by its name, its settings and its fake, with the key of both.

    Attributes:
        shared: the connections, by name.
    """

    def __init__(
        self,
        name: str,
        make: Callable[[str, Any, Any], tuple[object, Callable[[], C]]],
        place: str = "",
    ) -> None:
        self.name = name
        self._place = place or f"[outgoing.{name}.{{}}]"
        self._make = make
        self.shared: dict[str, Shared[C]] = {}

    def __getitem__(self, name: str) -> Shared[C]:
        try:
            return self.shared[name]
        except KeyError:
            known = ", ".join(sorted(self.shared)) or "none"
            where = self._place.format(name)
            text = f"{where} is not in the settings; available: {known}"
            raise UnknownConnectionError(text) from None

    def prepare(
        self, settings: Mapping[str, Any], fakes: Mapping[str, Any], mistakes: list[str]
    ) -> dict[str, Shared[C]]:
        """Return the connections of these settings; those that did not change are the same."""
        found: dict[str, Shared[C]] = {}
        for name in {**settings, **fakes}:
            try:
                key, make = self._make(name, settings.get(name), fakes.get(name))
                before = self.shared.get(name)
                is_same = before is not None and before.key == key
                found[name] = before if before and is_same else Shared(make(), key)
            except ConfigError as error:
                where = self._place.format(name)
                mistakes += [f"{where} {line}" for line in str(error).splitlines()]
        return found


class Connections:
    """All outgoing connections.

    Args:
        folder: of the project, to which paths in the settings are relative.
        fakes: what takes the place of connections in tests, by ``rest.NAME``.

    Attributes:
        rest: HTTP connections. sql: databases. smtp: mail servers.
        redis: the server of the shared cache, or none.
        figures: of each connection that there has been, by kind and name.
        configured: the connections of the settings.
        traced: opens a span for a request, if traces are exported.
    """

    def __init__(self, folder: Path = Path(), fakes: Mapping[str, Any] | None = None) -> None:
        self._folder, self._fakes = folder, _by_kind(fakes or {}, ("rest", "sql", "smtp"))
        self.figures: dict[tuple[str, str], Figures] = {}
        self.traced: Traced | None = None
        self.configured, self._declared = Outgoing(), Outgoing()
        self._cache: Cache | None = None
        self.rest: Kind[RestConnection] = Kind("rest", self._rest)
        self.sql: Kind[SqlConnection] = Kind("sql", self._sql)
        self.smtp: Kind[SmtpConnection] = Kind("smtp", self._smtp)
        self.redis: Kind[RedisConnection] = Kind("redis", self._redis, "[cache]")

    def replace(self, settings: Outgoing, cache: Cache | None = None) -> list[Shared[Any]]:
        """Have the connections of the settings; return those to retire.

        Connections whose settings and files did not change stay.

        Raises:
            ConfigError: lists all mistakes; nothing was changed.
        """
        mistakes: list[str] = []
        declared = self._declared
        wanted_of: dict[Kind[Any], Mapping[str, Any]] = {
            self.rest: {**declared.rest, **settings.rest},
            self.sql: {**declared.sql, **settings.sql},
            self.smtp: {**declared.smtp, **settings.smtp},
            self.redis: {"cache": cache} if cache is not None and cache.url else {},
        }
        prepared = [
            kind.prepare(wanted, self._fakes.get(kind.name, {}), mistakes)
            for kind, wanted in wanted_of.items()
        ]
        if mistakes:
            raise ConfigError("\n".join(mistakes))
        old: list[Shared[Any]] = []
        for kind, wanted in zip(wanted_of, prepared, strict=True):
            old += [shared for n, shared in kind.shared.items() if wanted.get(n) is not shared]
            kind.shared = wanted
        self.configured, self._cache = settings, cache
        return old

    def declare(self, outgoing: Outgoing) -> list[Shared[Any]]:
        """Have these connections besides those of the settings; return those to retire.

        Raises:
            ConfigError: lists all mistakes; nothing was changed.
        """
        before, self._declared = self._declared, outgoing
        try:
            return self.replace(self.configured, self._cache)
        except ConfigError:
            self._declared = before
            raise

    def check(self, kind: str, name: str, settings: Any) -> None:
        """Raise ConfigError if a connection cannot be made of its settings."""
        make: dict[str, Callable[[str, Any, Any], object]]
        make = {"rest": self._rest, "sql": self._sql, "smtp": self._smtp}
        make[kind](name, settings, None)

    async def retire(self, old: Iterable[Shared[Any]]) -> None:
        """Close connections as soon as they have no users."""
        for shared in old:
            try:
                await shared.retire()
            except Exception:  # noqa: BLE001 - the others must be closed, too
                _log.exception("connection not closed")

    async def close(self) -> None:
        """Close all connections that have no users, and the others after their last one."""
        self._fakes, self._declared = {}, Outgoing()
        await self.retire(self.replace(Outgoing()))

    def figures_of(self, kind: str, name: str) -> Figures:
        """Return the figures of a connection, which outlive it."""
        return self.figures.setdefault((kind, name), Figures())

    def _rest(
        self, name: str, settings: Rest | None, fake: Any
    ) -> tuple[object, Callable[[], RestConnection]]:
        figures, rest = self.figures_of("rest", name), settings or Rest(f"http://{name}")
        if fake is not None:
            return fake, lambda: RestConnection(name, rest, FakeClient(fake), figures, self.traced)
        material = material_of(rest, self._folder)
        require("pyreqwest", "http")
        from zato_lite.outgoing.http_client import HttpClient  # noqa: PLC0415 - an extra

        def connect() -> RestConnection:
            client = HttpClient(rest, material)
            return RestConnection(name, rest, client, figures, self.traced)

        return (rest, material), connect

    def _sql(
        self, name: str, settings: Sql | None, fake: str | None
    ) -> tuple[object, "Callable[[], SqlConnection]"]:
        require("sqlalchemy", "sql")
        from zato_lite.outgoing.sql import SqlConnection, url_of  # noqa: PLC0415 - an extra

        sql = settings or Sql("")
        password = ""
        if fake is None:
            password = secret_of(sql.password, sql.password_file, self._folder, "password")
        else:
            sql = msgspec.structs.replace(sql, url=fake)
        url, figures = url_of(sql, password, self._folder), self.figures_of("sql", name)
        return (sql, url), lambda: SqlConnection(name, sql, url, figures)

    def _smtp(
        self, name: str, settings: Smtp | None, fake: list[SMTPMessage] | None
    ) -> tuple[object, Callable[[], SmtpConnection]]:
        figures = self.figures_of("smtp", name)
        smtp = settings or Smtp("", mail_from="tests@example.com")
        if fake is not None:
            return id(fake), lambda: SmtpConnection(name, smtp, Outbox(fake), figures)
        password = secret_of(smtp.password, smtp.password_file, self._folder, "password")
        authorities = read_file(self._folder / smtp.ca, "ca") if smtp.ca else b""
        if not smtp.host:
            raise ConfigError("host is missing")
        if bool(smtp.username) != bool(password):
            raise ConfigError("username and password are needed together")
        require("aiosmtplib", "mail")
        from zato_lite.outgoing.smtp import SmtpCourier  # noqa: PLC0415 - an extra

        def connect() -> SmtpConnection:
            courier = SmtpCourier(name, smtp, password, authorities)
            return SmtpConnection(name, smtp, courier, figures)

        return (smtp, password, authorities), connect

    def _redis(
        self, name: str, settings: Cache | None, fake: None
    ) -> tuple[object, "Callable[[], RedisConnection]"]:
        require("redis", "redis")
        from zato_lite.outgoing.redis import RedisConnection  # noqa: PLC0415 - an extra

        cache, figures = settings or Cache(), self.figures_of("redis", name)
        password = secret_of(cache.password, cache.password_file, self._folder, "password")
        return (cache, password), lambda: RedisConnection(cache, password, figures)


def _by_kind(fakes: Mapping[str, Any], kinds: Sequence[str]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {kind: {} for kind in kinds}
    for place, fake in fakes.items():
        kind, _, name = place.partition(".")
        if kind not in found or not name:
            raise ConfigError(
                f"outgoing: {place!r} is not valid; use rest.NAME, sql.NAME or smtp.NAME"
            )
        found[kind][name] = fake
    return found
