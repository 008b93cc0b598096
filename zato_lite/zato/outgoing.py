"""Zato's spelling of outgoing connections: ``self.out.rest["CRM"].conn.get(self.cid, params)``."""

from typing import Any

from zato_lite.outgoing.connections import Connections
from zato_lite.service.mail import BlockingSmtp
from zato_lite.service.outgoing import BlockingRest, ByName, OutgoingConnections
from zato_lite.service.outgoing_call import CallingService, Resolve
from zato_lite.service.sql import BlockingSql, Sql
from zato_lite.zato.not_offered import lacking


class ZatoRest:
    """HTTP connection, whose methods take the correlation id first, or leave it out.

    In a plain ``handle`` they return the response; in an async one they are awaited.
    """

    def __init__(
        self, service: CallingService, connections: Connections, resolve: Resolve, name: str
    ) -> None:
        self._rest: Any = BlockingRest(service, connections, resolve, name)
        self._cid = service.root.cid
        self.name = name

    @property
    def conn(self) -> "ZatoRest":
        """Return the connection itself, under Zato's name."""
        return self

    def get(self, *arguments: Any, **options: Any) -> Any:
        """Send a GET request: ``get(cid, params)``."""
        return self._with_params("GET", arguments, options)

    def head(self, *arguments: Any, **options: Any) -> Any:
        """Send a HEAD request: ``head(cid, params)``."""
        return self._with_params("HEAD", arguments, options)

    def options(self, *arguments: Any, **options: Any) -> Any:
        """Send an OPTIONS request: ``options(cid, params)``."""
        return self._with_params("OPTIONS", arguments, options)

    def post(self, *arguments: Any, **options: Any) -> Any:
        """Send a POST request: ``post(cid, data, params)``."""
        return self._with_data("POST", arguments, options)

    send = post

    def put(self, *arguments: Any, **options: Any) -> Any:
        """Send a PUT request: ``put(cid, data, params)``."""
        return self._with_data("PUT", arguments, options)

    def patch(self, *arguments: Any, **options: Any) -> Any:
        """Send a PATCH request: ``patch(cid, data, params)``."""
        return self._with_data("PATCH", arguments, options)

    def delete(self, *arguments: Any, **options: Any) -> Any:
        """Send a DELETE request: ``delete(cid, data, params)``."""
        return self._with_data("DELETE", arguments, options)

    def ping(self, *arguments: Any, **options: Any) -> Any:
        """Send a HEAD request to the connection's address."""
        return self._with_params("HEAD", arguments, options)

    def _with_params(self, method: str, arguments: tuple[Any, ...], options: Any) -> Any:
        (params,) = self._without_cid(arguments, options, ("params",))
        return self._rest.request(method, params=params or None, **options)

    def _with_data(self, method: str, arguments: tuple[Any, ...], options: Any) -> Any:
        data, params = self._without_cid(arguments, options, ("data", "params"))
        is_text = isinstance(data, str | bytes)
        json = None if is_text else data
        body = data or None if is_text else None
        return self._rest.request(method, "", json, data=body, params=params or None, **options)

    def _without_cid(
        self, arguments: tuple[Any, ...], options: dict[str, Any], names: tuple[str, ...]
    ) -> list[Any]:
        """Return the values of the named arguments, by position or by name; None if absent."""
        options.pop("cid", None)
        if arguments and arguments[0] == self._cid:
            arguments = arguments[1:]
        if len(arguments) > len(names):
            raise TypeError(f"{len(arguments)} arguments given; use cid, {', '.join(names)}")
        given = dict(zip(names, arguments, strict=False))
        return [given.get(name, options.pop(name, None)) for name in names]


class ZatoSql(BlockingSql):
    """Database, whose sessions take statements as text."""

    __slots__ = ()

    def session(self) -> Any:
        """Return a session of SQLAlchemy, for ``with``; it commits on request."""
        from zato_lite.outgoing.sql import TextSession  # noqa: PLC0415 - an extra

        return self._connection().blocking_session(TextSession)


class ZatoOutgoing(OutgoingConnections):
    """``self.out``: outgoing connections, by Zato's names of kinds."""

    __slots__ = ("_in_thread",)

    def __init__(
        self,
        service: CallingService,
        connections: Connections,
        resolve: Resolve,
        *,
        in_thread: bool,
    ) -> None:
        super().__init__(service, connections, resolve)
        self._in_thread = in_thread

    @property
    def rest(self) -> ByName[ZatoRest]:
        """Return the HTTP connections."""
        return ByName(self._call, ZatoRest)

    def __getattr__(self, name: str) -> Any:
        raise lacking("self", "email" if name == "imap" else "out", name)

    @property
    def plain_http(self) -> ByName[ZatoRest]:
        """Return the HTTP connections, under their older name."""
        return self.rest

    @property
    def sql(self) -> ByName[ZatoSql]:
        """Return the databases; in an async ``handle`` the methods are awaited."""
        kind: Any = ZatoSql if self._in_thread else Sql
        return ByName(self._call, kind)

    @property
    def smtp(self) -> ByName[BlockingSmtp]:
        """Return the mail servers; in an async ``handle`` the method is awaited."""
        return ByName(self._call, BlockingSmtp)
