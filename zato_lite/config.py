"""Settings: read from a TOML file, the environment and the command line; all errors in one."""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from zato_lite.errors import ConfigError

PLACE = Path("config/zato-lite.toml")
"""Path of the settings file within a project."""

PREFIX = "ZATO_LITE_"
"""Prefix of environment variables: ``ZATO_LITE_SERVER__PORT=8000`` sets ``[server] port``."""

METRICS_FILE = "ZATO_LITE_METRICS_FILE"
"""Environment variable that gives a worker the path of its metrics snapshot."""

_OPTIONS = {
    "host": ("server", "host"),
    "port": ("server", "port"),
    "workers": ("server", "workers"),
    "store": ("store", "url"),
    "reload": ("services", "reload"),
}
"""Table and key that each command-line option overrides."""


class Mount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An ASGI application mounted below a path.

    Attributes:
        app: ``module:name``; the module may be in the folder of services.
        role: least role that a caller must have.
    """

    app: str
    role: Literal["anybody", "viewer", "operator", "editor", "admin"] = "viewer"


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HTTP server.

    Attributes:
        host, port: address to listen on; port 0 chooses a free port.
        workers: processes that share the port and the store.
        name: name of this node, in the store and in ``self.server.name``; default: the host name.
        grace: maximum seconds that a shutdown waits for running services.
        allowed_hosts: accepted values of Host besides the address; ``["*"]`` accepts any.
        unix_socket: path of a socket to listen on instead of host and port.
        certificate, key: PEM files for TLS; read again at SIGHUP.
        trusted_proxies: networks whose X-Forwarded-For is believed.
        max_body: maximum bytes of a request's body.
        max_connections, max_connections_per_address: maximum of open connections.
        request_timeout: maximum seconds of an invocation over HTTP; 0 for no limit. A caller can
            shorten it with the header Request-Timeout.
        mounts: ASGI applications by path.
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
    """Database of jobs, runs and accounts.

    Attributes:
        url: ``sqlite:///`` and a path relative to the project.
        backups: folder of the copies that ``zato.store.backup`` makes; relative to the project.
    """

    url: str = "sqlite:///data/zato-lite.db"
    backups: str = "data/backups"


class Scheduler(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scheduler.

    Attributes:
        enabled: False for a server that runs no jobs.
        capacity: maximum of concurrent runs on this node.
        jobs_file: job definitions applied at the start; relative to the project.
    """

    enabled: bool = True
    capacity: int = 10_000
    jobs_file: str = "config/jobs.yaml"


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log: least level and output format."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    format: Literal["auto", "pretty", "json"] = "auto"


class Observe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Observability settings.

    Attributes:
        otel: export traces by OpenTelemetry (``pip install zato-lite[otel]``); the exporter is
            configured by the environment variables ``OTEL_*``.
    """

    otel: bool = False


class Services(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Folder of services.

    Attributes:
        folder: relative to the project.
        reload: deploy files when they change.
        accepts_uploads: accept files from ``zato.hot-deploy.create``.
    """

    folder: str = "services"
    reload: bool = True
    accepts_uploads: bool = False


class Notify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Targets of ``zato.notify.webhook`` and ``zato.notify.email``.

    Attributes:
        webhooks: URLs to which a JSON object is posted.
        smtp_host, smtp_port: mail server; without a host, mail is not sent.
        smtp_tls: ``starttls``, ``tls`` from the first byte, or ``none``.
        smtp_user, smtp_password_file: credentials, if the server requires them.
        mail_from, mail_to: addresses.
        timeout: maximum seconds of a delivery.
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
    """All settings; each table of the file is a field."""

    server: Server = msgspec.field(default_factory=Server)
    store: Store = msgspec.field(default_factory=Store)
    scheduler: Scheduler = msgspec.field(default_factory=Scheduler)
    services: Services = msgspec.field(default_factory=Services)
    notify: Notify = msgspec.field(default_factory=Notify)
    log: Log = msgspec.field(default_factory=Log)
    observe: Observe = msgspec.field(default_factory=Observe)
    user: dict[str, Any] = msgspec.field(default_factory=dict)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a file, which need not exist, overridden by the environment.

    Raises:
        ConfigError: lists every unknown key, with the nearest known one, or the wrong value.
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


def load_project(folder: Path, **overrides: Any) -> Settings:
    """Return the settings of a project, overridden by command-line options; None is not given.

    Raises:
        ConfigError: lists all errors.
    """
    found = load(folder / PLACE)
    for option, value in overrides.items():
        if value is not None:
            table, name = _OPTIONS[option]
            changed = msgspec.structs.replace(getattr(found, table), **{name: value})
            found = msgspec.structs.replace(found, **{table: changed})
    return found


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
