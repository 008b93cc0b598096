"""Settings of outgoing connections: the tables ``[outgoing.rest.NAME]`` and their like."""

from typing import Annotated, Literal

import msgspec

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Number = Annotated[int, msgspec.Meta(ge=0)]
_Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Rest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HTTP connection: ``self.out.rest["NAME"]``.

    Attributes:
        url: address that the paths of requests are added to; it may have ``{name}`` parameters.
        auth: ``none``, ``basic``, ``bearer`` or ``api_key``.
        username: for ``basic``.
        secret: password, token or key, as ``${NAME}``.
        secret_file: file with that secret; relative to the project.
        api_key_header: header of ``api_key``.
        headers: headers of each request.
        cid_header: header with the correlation id; empty for none.
        timeout: maximum seconds of a request with its retries; never more than the invocation has.
        connect_timeout: maximum seconds until a connection is established.
        retries: further tries of a request that is safe to repeat.
        retry_delay: seconds before the first retry, then twice as many each time.
        max_retry_delay: maximum seconds before a retry, also if Retry-After asks for more.
        pool_size: maximum of concurrent requests.
        max_response: maximum bytes of a response's body, decompressed.
        http2: use HTTP/2, over TLS if the server offers it; False for HTTP/1.1 only.
        follow_redirects: follow redirections, at most 10.
        verify: check the server's certificate.
        ca: PEM file of further authorities; relative to the project.
        certificate, key: PEM files of the client's certificate; relative to the project.
    """

    url: str
    auth: Literal["none", "basic", "bearer", "api_key"] = "none"
    username: str = ""
    secret: str = ""
    secret_file: str = ""
    api_key_header: str = "X-API-Key"
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    cid_header: str = "X-Zato-CID"
    timeout: _Seconds = 30.0
    connect_timeout: _Seconds = 5.0
    retries: _Number = 2
    retry_delay: _Seconds = 0.2
    max_retry_delay: _Seconds = 10.0
    pool_size: _Count = 100
    max_response: _Count = 64 * 1024 * 1024
    http2: bool = False
    follow_redirects: bool = False
    verify: bool = True
    ca: str = ""
    certificate: str = ""
    key: str = ""


class Sql(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Database: ``self.out.sql["NAME"]``.

    Attributes:
        url: as SQLAlchemy has it: ``postgresql://user@host/name``, ``sqlite:///data/shop.db``; a
            path is relative to the project.
        password: as ``${NAME}``.
        password_file: file with that password; relative to the project.
        pool_size: maximum of connections; further statements wait.
        pool_recycle: seconds after which a connection is replaced.
        timeout: maximum seconds of a statement; never more than the invocation has.
    """

    url: str
    password: str = ""
    password_file: str = ""
    pool_size: _Count = 10
    pool_recycle: _Seconds = 1800.0
    timeout: _Seconds = 30.0


class Smtp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Mail server: ``self.out.smtp["NAME"]``.

    Attributes:
        host, port: its address.
        tls: ``starttls``, ``tls`` from the first byte, or ``none``.
        ca: PEM file of further authorities; relative to the project.
        username: if the server requires credentials.
        password: as ``${NAME}``.
        password_file: file with that password; relative to the project.
        mail_from: sender of messages that name none.
        timeout: maximum seconds of a delivery; never more than the invocation has.
    """

    host: str
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca: str = ""
    username: str = ""
    password: str = ""
    password_file: str = ""
    mail_from: str = ""
    timeout: _Seconds = 30.0


class Crypto(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Encryption of services: ``self.crypto``.

    Attributes:
        key: as ``${NAME}``: 32 random bytes in URL-safe base64.
        key_file: file with that key; relative to the project.
        old_keys: keys by which texts were encrypted before; they only decrypt.
    """

    key: str = ""
    key_file: str = ""
    old_keys: tuple[str, ...] = ()


class Cache(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shared cache: ``self.cache.default``, and ``self.kvdb`` if it is in Redis.

    Attributes:
        url: of Redis or Valkey, ``redis://host:6379/0``; empty to use the store.
        password: as ``${NAME}``.
        password_file: file with that password; relative to the project.
        timeout: maximum seconds of an operation of Redis.
        max_value: maximum bytes of a value.
        max_items: maximum of values in the store; beyond, the oldest ones are deleted.
    """

    url: str = ""
    password: str = ""
    password_file: str = ""
    timeout: _Seconds = 5.0
    max_value: _Count = 1024 * 1024
    max_items: _Count = 100_000


class Outgoing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Outgoing connections, by kind and name.

    Attributes:
        rest: HTTP connections.
        sql: databases.
        smtp: mail servers.
    """

    rest: dict[str, Rest] = msgspec.field(default_factory=dict)
    sql: dict[str, Sql] = msgspec.field(default_factory=dict)
    smtp: dict[str, Smtp] = msgspec.field(default_factory=dict)
