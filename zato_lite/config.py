"""Settings of the server: a TOML file and the environment over it; all mistakes at once."""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from zato_lite.errors import ConfigError

PLACE = Path("config/zato-lite.toml")
"""Of the settings, in a project."""

PREFIX = "ZATO_LITE_"
"""Of the environment variables: ``ZATO_LITE_SERVER__PORT=8000`` is ``port`` in ``[server]``."""

METRICS_FILE = "ZATO_LITE_METRICS_FILE"
"""Environment variable that gives a worker the path of its metrics snapshot."""


class Mount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ASGI application that answers below a path.

    Attributes:
        app: where it is, as ``module:name``; the folder of services is looked in, too.
        role: the least role that it takes to get there; ``anybody`` for none.
    """

    app: str
    role: Literal["anybody", "viewer", "operator", "editor", "admin"] = "viewer"


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where and how it answers HTTP.

    Attributes:
        host, port: the address; port 0 takes a free one.
        workers: processes that share the port and the store.
        name: of this node, in the store and in ``self.server.name``; empty for the host's.
        grace: seconds that running services are given at a shutdown.
        allowed_hosts: values of Host accepted besides the address itself; ``["*"]`` for any.
        unix_socket: the path of a socket to listen on instead of host and port.
        certificate, key: PEM files for TLS; read anew at SIGHUP.
        trusted_proxies: networks whose X-Forwarded-For is believed.
        max_body: bytes of a request's body at most.
        max_connections, max_connections_per_address: at once.
        request_timeout: seconds that an invocation over HTTP may take; 0 for no limit. A caller's
            Request-Timeout can only make it shorter.
        mounts: ASGI applications by the path below which they answer.
        channels: REST channels, as ``"GET /customers/{id}" = "crm.get-customer"``.
    """

    host: str = "127.0.0.1"
    port: int = 17010
    workers: int = 1
    name: str = ""
    grace: float = 30.0
    allowed_hosts: tuple[str, ...] = ()
    unix_socket: str = ""
    certificate: str = ""
    key: str = ""
    trusted_proxies: tuple[str, ...] = ()
    max_body: int = 1024 * 1024
    max_connections: int = 10_000
    max_connections_per_address: int = 4_000
    request_timeout: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    channels: dict[str, str] = msgspec.field(default_factory=dict)
    mounts: dict[str, Mount] = msgspec.field(default_factory=dict)


class Store(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where jobs, runs and the ledger are kept.

    Attributes:
        url: ``sqlite:///`` and a path, relative to the project.
        backups: the folder of what ``zato.store.backup`` makes; relative to the project.
    """

    url: str = "sqlite:///data/zato-lite.db"
    backups: str = "data/backups"


class Scheduler(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How jobs are fired.

    Attributes:
        enabled: False for a server that fires nothing.
        capacity: runs at once on this node.
        jobs_file: definitions applied at the start; relative to the project.
    """

    enabled: bool = True
    capacity: int = 10_000
    jobs_file: str = "config/jobs.yaml"


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is logged (level) and in which form."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    format: Literal["auto", "pretty", "json"] = "auto"


class Observe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is told of it to others.

    Attributes:
        otel: traces by OpenTelemetry (``pip install zato-lite[otel]``), sent where the ``OTEL_*``
            variables of the environment say.
    """

    otel: bool = False


class Services(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where services are found.

    Attributes:
        folder: relative to the project.
        reload: a changed file is deployed at once.
        accepts_uploads: files may be put there by ``zato.hot-deploy.create``.
    """

    folder: str = "services"
    reload: bool = True
    accepts_uploads: bool = False


class Notify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where ``zato.notify.webhook`` and ``zato.notify.email`` send what they are told.

    Attributes:
        webhooks: URLs that get a JSON object by POST.
        smtp_host, smtp_port: the mail server; no host, no mail.
        smtp_tls: ``starttls``, ``tls`` from the first byte, or ``none``.
        smtp_user, smtp_password_file: credentials, if it asks for some.
        mail_from, mail_to: the addresses.
        timeout: seconds that each delivery may take.
    """

    webhooks: tuple[str, ...] = ()
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password_file: str = ""
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    timeout: float = 10.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything; each table of the file is one field."""

    server: Server = msgspec.field(default_factory=Server)
    store: Store = msgspec.field(default_factory=Store)
    scheduler: Scheduler = msgspec.field(default_factory=Scheduler)
    services: Services = msgspec.field(default_factory=Services)
    notify: Notify = msgspec.field(default_factory=Notify)
    log: Log = msgspec.field(default_factory=Log)
    observe: Observe = msgspec.field(default_factory=Observe)
    user: dict[str, Any] = msgspec.field(default_factory=dict)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the file at ``path`` (none is fine) with the environment's over it.

    Raises:
        ConfigError: lists every unknown key, with the nearest known one, and every wrong value.
    """
    tables = _read(path)
    mistakes = list(_override(tables, environ))
    mistakes += _unknown(tables)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    try:
        return msgspec.convert(tables, Settings, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _override(tables: dict[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    for variable, value in environ.items():
        if variable.startswith(PREFIX) and "__" in variable:
            table, _, key = variable.removeprefix(PREFIX).lower().partition("__")
            if isinstance(content := tables.setdefault(table, {}), dict):
                content[key] = value
            else:
                yield f"{variable}: [{table}] of the file is not a table"


def _unknown(tables: Mapping[str, Any]) -> Iterator[str]:
    known = {field.name: field.type for field in msgspec.structs.fields(Settings)}
    for table, content in tables.items():
        if table not in known:
            yield f"[{table}] is not known{_nearest(table, known)}"
        elif table != "user" and isinstance(content, dict):
            keys = [field.name for field in msgspec.structs.fields(known[table])]
            for key in content:
                if key not in keys:
                    yield f"[{table}] {key} is not known{_nearest(key, keys)}"


def _nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; known are {', '.join(known)}"
