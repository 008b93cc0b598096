"""Settings: read from a TOML file, the environment and the command line; all errors in one."""

import difflib
import json
import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from zato_lite.errors import ConfigError
from zato_lite.outgoing_config import Cache, Crypto, Outgoing

PLACE = Path("config/zato-lite.toml")
"""Path of the settings file within a project."""

PREFIX = "ZATO_LITE_"
"""Prefix of environment variables: ``ZATO_LITE_SERVER__PORT=8000`` sets ``[server] port``."""

JOBS_FILE_ERRORS = "ZATO_LITE_SCHEDULER__JOBS_FILE_ERRORS"
"""Environment variable that sets ``[scheduler] jobs_file_errors``."""

METRICS_FILE = "ZATO_LITE_METRICS_FILE"
"""Environment variable that gives a worker the path of its metrics snapshot."""

FOLLOWER = "ZATO_LITE_IS_FOLLOWER"
"""Environment variable of workers but the first, which alone gives the admin a password."""

VARIABLES = frozenset(
    {
        FOLLOWER,
        METRICS_FILE,
        "ZATO_LITE_ADMIN_PASSWORD",
        "ZATO_LITE_ADMIN_PASSWORD_FILE",
        "ZATO_LITE_API_KEY",
        "ZATO_LITE_API_KEY_FILE",
        "ZATO_LITE_CA",
        "ZATO_LITE_IS_WORKER",
        "ZATO_LITE_ORACLE",
        "ZATO_LITE_PASSWORD",
        "ZATO_LITE_PASSWORD_FILE",
        "ZATO_LITE_URL",
        "ZATO_LITE_USER",
    }
)
"""Variables with the prefix that set no key; any other without a known table is a mistake."""

_REFERENCE = re.compile(r"\$(\$\{\w+\})|\$\{(\w+)\}|Zato_Enmasse_Env\.([A-Za-z_]\w*)")
"""A variable in a value, or ``$${NAME}``, which stands for ``${NAME}`` itself."""

_HEADER = re.compile(r"\s*\[([^\[\]]+)\]")
"""The header of a table."""

_Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Origin = Annotated[str, msgspec.Meta(pattern=r"^(\*|https?://[^/\s*,]+)$")]
_Seconds = Annotated[float, msgspec.Meta(ge=0)]

_OPTIONS = {
    "host": ("server", "host"),
    "port": ("server", "port"),
    "workers": ("server", "workers"),
    "store": ("store", "url"),
    "reload": ("services", "reload"),
    "dev": ("server", "dev"),
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


class Static(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Files of a folder, served below a path.

    Attributes:
        folder: relative to the project.
        role: least role that a caller must have.
    """

    folder: str
    role: Literal["anybody", "viewer", "operator", "editor", "admin"] = "viewer"


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HTTP server.

    Attributes:
        host, port: address to listen on; port 0 chooses a free port.
        workers: processes that share the port and the store.
        worker_timeout: seconds without a sign of life after which a worker is replaced.
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
        session_idle: seconds without use after which a session ends.
        session_lifetime: seconds after which a session ends in any case.
        api_title, api_version, api_description: of the API, in its OpenAPI document.
        cors_origins: origins whose pages may call the server, as ``https://app.example``; ``*``
            for any.
        cors_methods, cors_headers: those that they may send.
        cors_exposed: headers of answers that they may read.
        cors_credentials: their cookies and remembered passwords count; not with ``*``.
        cors_max_age: seconds for which browsers keep these permissions.
        folders: folders of files by path.
        mounts: ASGI applications by path.
        dev: a development server, as ``serve --dev``.
        channels: REST channels, as ``"GET /customers/{id}" = "crm.get-customer"``.
    """

    host: str = "127.0.0.1"
    port: _Port = 17010
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] = 1
    worker_timeout: Annotated[float, msgspec.Meta(ge=3)] = 30.0
    name: str = ""
    grace: _Seconds = 30.0
    allowed_hosts: tuple[str, ...] = ()
    unix_socket: str = ""
    certificate: str = ""
    key: str = ""
    trusted_proxies: tuple[str, ...] = ()
    max_body: _Count = 1024 * 1024
    max_connections: _Count = 10_000
    max_connections_per_address: _Count = 4_000
    request_timeout: _Seconds = 0.0
    session_idle: Annotated[float, msgspec.Meta(ge=1, le=31_536_000)] = 7_200.0
    session_lifetime: Annotated[float, msgspec.Meta(ge=1, le=31_536_000)] = 43_200.0
    channels: dict[str, str] = msgspec.field(default_factory=dict)
    api_title: str = "zato-lite"
    api_version: str = ""
    api_description: str = ""
    cors_origins: tuple[_Origin, ...] = ()
    cors_methods: tuple[str, ...] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
    cors_headers: tuple[str, ...] = (
        "Authorization",
        "Content-Type",
        "X-API-Key",
        "Request-Timeout",
        "Idempotency-Key",
    )
    cors_exposed: tuple[str, ...] = ("X-Zato-CID", "Retry-After", "Location")
    cors_credentials: bool = False
    cors_max_age: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 600
    folders: dict[str, Static] = msgspec.field(default_factory=dict)
    mounts: dict[str, Mount] = msgspec.field(default_factory=dict)
    dev: bool = False


class Store(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Database of jobs, runs and accounts.

    Attributes:
        url: ``sqlite:///`` and a path relative to the project, or ``postgresql://``.
        password: for a database of PostgreSQL, as ``${NAME}``; better than within the URL.
        password_file: file with that password; relative to the project.
        backups: folder of the copies that ``zato.store.backup`` makes; relative to the project.
    """

    url: str = "sqlite:///data/zato-lite.db"
    password: str = ""
    password_file: str = ""
    backups: str = "data/backups"


class Scheduler(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Scheduler.

    Attributes:
        enabled: False for a server that runs no jobs.
        capacity: maximum of concurrent runs on this node.
        jobs_file: job definitions applied at the start and when they change; relative to the
            project.
        jobs_file_errors: ``refuse`` a start with a mistake in the jobs file, or ``skip`` the jobs
            with mistakes. A changed file never stops a running server: its mistakes are skipped.
    """

    enabled: bool = True
    capacity: _Count = 10_000
    jobs_file: str = "config/jobs.yaml"
    jobs_file_errors: Literal["refuse", "skip"] = "refuse"


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Log.

    Attributes:
        level: the least level.
        format: of the lines: ``auto`` is pretty on a terminal, else JSON.
        tracebacks: ``own`` leaves out frames of zato-lite; ``full`` shows all.
        access: a line for each request: ``on``, ``off``, or for ``slow`` ones.
        slow_ms: milliseconds from which a request is slow.
        folder: of the latest lines, for ``zato-lite log``; relative to the project.
        keep_mb: megabytes that are kept there; 0 for none.
    """

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"] = "INFO"
    format: Literal["auto", "pretty", "json"] = "auto"
    tracebacks: Literal["own", "full"] = "own"
    access: Literal["on", "off", "slow"] = "off"
    slow_ms: _Seconds = 1000.0
    folder: str = "data/log"
    keep_mb: _Seconds = 16.0


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
        webhooks: URLs to which a JSON object is posted; redirections are not followed.
        webhook_hosts: hosts that may be named there, ``*.example.com`` for all below; empty for
            any host.
        webhook_private_addresses: False to send to addresses of the public internet only.
        smtp_host, smtp_port: mail server; without a host, mail is not sent.
        smtp_tls: ``starttls``, ``tls`` from the first byte, or ``none``.
        smtp_user, smtp_password_file: credentials, if the server requires them.
        mail_from, mail_to: addresses.
        timeout: maximum seconds of a delivery.
    """

    webhooks: tuple[str, ...] = ()
    webhook_hosts: tuple[str, ...] = ()
    webhook_private_addresses: bool = True
    smtp_host: str = ""
    smtp_port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    smtp_tls: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password_file: str = ""
    mail_from: str = ""
    mail_to: tuple[str, ...] = ()
    timeout: _Seconds = 10.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings; each table of the file is a field."""

    server: Server = msgspec.field(default_factory=Server)
    store: Store = msgspec.field(default_factory=Store)
    scheduler: Scheduler = msgspec.field(default_factory=Scheduler)
    services: Services = msgspec.field(default_factory=Services)
    notify: Notify = msgspec.field(default_factory=Notify)
    outgoing: Outgoing = msgspec.field(default_factory=Outgoing)
    cache: Cache = msgspec.field(default_factory=Cache)
    crypto: Crypto = msgspec.field(default_factory=Crypto)
    log: Log = msgspec.field(default_factory=Log)
    observe: Observe = msgspec.field(default_factory=Observe)
    user: dict[str, Any] = msgspec.field(default_factory=dict)


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of a file, which need not exist, overridden by the environment.

    ``${NAME}`` and ``Zato_Enmasse_Env.NAME`` in a text of the file stand for a variable's value.

    Raises:
        ConfigError: lists every unknown key or variable, with the nearest known one, and every
            wrong value, each with the file or the variable that has it.
    """
    text, tables = _read(path)
    mistakes: list[str] = []
    for table, content in tables.items():
        tables[table] = _expand(content, f"{path}: [{table}]", text, environ, mistakes)
    mistakes += _override(tables, environ)
    origins = {key: variable for variable, key in _keys_of(environ).items()}
    mistakes += _unknown(tables, origins)
    found = _convert(path, text, tables, origins, mistakes)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return Settings(**found)


def load_project(folder: Path, **overrides: Any) -> Settings:
    """Return the settings of a project, overridden by command-line options; None is not given.

    ``user`` has the ``*.ini`` files beside them, too: each is a table of sections, by its name.

    Raises:
        ConfigError: lists all errors.
    """
    found = load(folder / PLACE)
    if files := _ini_files(folder / PLACE.parent, os.environ, found.user):
        found = msgspec.structs.replace(found, user={**files, **found.user})
    for option, value in overrides.items():
        if value is not None:
            table, name = _OPTIONS[option]
            changed = msgspec.structs.replace(getattr(found, table), **{name: value})
            found = msgspec.structs.replace(found, **{table: changed})
    return found


def for_development(settings: Settings, *, reloads: bool = True) -> Settings:
    """Return the settings of a development server: readable, with every request in the log."""
    return msgspec.structs.replace(
        settings,
        server=msgspec.structs.replace(settings.server, dev=True),
        services=msgspec.structs.replace(settings.services, reload=reloads),
        log=msgspec.structs.replace(settings.log, format="pretty", access="on"),
    )


def _ini_files(
    folder: Path, environ: Mapping[str, str], user: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the sections of INI files, by the names of the files; hyphens become underscores.

    Raises:
        ConfigError: lists what is wrong in all files.
    """
    found: dict[str, Any] = {}
    mistakes: list[str] = []
    for path in sorted(folder.glob("*.ini")):
        from configparser import ConfigParser, Error  # noqa: PLC0415 - most projects have none

        name, parser = re.sub(r"\W", "_", path.stem), ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign] # as they are written
        try:
            text = path.read_text(encoding="utf-8")
            parser.read_string(text)
        except (Error, OSError, UnicodeDecodeError) as error:
            mistakes.append(f"{path}: {' '.join(str(error).split())}")
            continue
        if name in found or name in user:
            other = "[user] of the settings" if name in user else "another file"
            mistakes.append(f"{path}: {name} is already in {other}; rename the file")
        sections = {section: dict(parser[section]) for section in parser.sections()}
        found[name] = _expand(sections, str(path), text, environ, mistakes)
    if mistakes:
        raise ConfigError("\n".join(mistakes))
    return found


def differences(before: Settings, after: Settings) -> list[str]:
    """Return the settings that differ, as ``table.key``; the user's table as a whole."""
    tables = [
        (name, getattr(before, name), getattr(after, name)) for name in Settings.__struct_fields__
    ]
    return [
        f"{table}.{key}" if key else table
        for table, old, new in tables
        for key in (("",) if table == "user" else type(new).__struct_fields__)
        if (getattr(old, key) != getattr(new, key) if key else old != new)
    ]


def tolerant(settings: Settings) -> Settings:
    """Return the settings of a restart: a jobs file that is wrong by now does not prevent it."""
    scheduler = msgspec.structs.replace(settings.scheduler, jobs_file_errors="skip")
    return msgspec.structs.replace(settings, scheduler=scheduler)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the text of a file and its tables."""
    try:
        text = path.read_text(encoding="utf-8")
        return text, tomllib.loads(text)
    except FileNotFoundError:
        return "", {}
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _expand(
    value: Any, place: str, text: str, environ: Mapping[str, str], mistakes: list[str]
) -> Any:
    """Return a value of the file with its variables replaced; add those that are not set."""
    if isinstance(value, dict):
        return {k: _expand(v, f"{place} {k}", text, environ, mistakes) for k, v in value.items()}
    if isinstance(value, list):
        return [_expand(each, place, text, environ, mistakes) for each in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        escaped, *names = match.groups()
        if escaped:
            return str(escaped)
        variable = names[0] or names[1]
        if variable not in environ:
            line = _line_of(text, re.escape(match[0]))
            mistakes.append(f"{place}{line}: variable {variable} is not set")
        return environ.get(variable, "")

    return _REFERENCE.sub(replace, value)


def _line_of(text: str, pattern: str, table: str = "") -> str:
    """Return `` (line 3)`` for the first line of a TOML text, or a table, that has the pattern."""
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            current = header[1].replace('"', "").strip()
        is_there = re.search(pattern, line) and not line.lstrip().startswith("#")
        if is_there and table in {"", current}:
            return f" (line {number})"
    return ""


def _keys_of(environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the table and the key that each variable sets."""
    found = {}
    for variable in environ:
        if variable.startswith(PREFIX) and "__" in variable:
            table, _, key = variable.removeprefix(PREFIX).lower().partition("__")
            found[variable] = (table, key)
    return found


def _override(tables: dict[str, Any], environ: Mapping[str, str]) -> Iterator[str]:
    keys = _keys_of(environ)
    for variable, (table, key) in keys.items():
        if not isinstance(content := tables.setdefault(table, {}), dict):
            yield f"{variable}: [{table}] of the file is not a table"
            continue
        try:
            content[key] = _from_text(_types(table).get(key), environ[variable])
        except ValueError as error:
            yield f"{variable}: {error}"
    for variable in environ:
        if variable.startswith(PREFIX) and variable not in VARIABLES and variable not in keys:
            yield f"{variable} is not known{_nearest_variable(variable)}"


def _from_text(declared: Any, text: str) -> Any:
    """Return the value of a variable: a list as a JSON array or between commas, a table as JSON.

    Raises:
        ValueError: the text is neither.
    """
    is_list, is_table = get_origin(declared) is tuple, get_origin(declared) is dict
    if not (is_table or (is_list and text.lstrip().startswith("["))):
        parts = (part.strip() for part in text.split(","))
        return [part for part in parts if part] if is_list else text
    form = "a JSON object" if is_table else "a JSON array, or values between commas"
    try:
        value = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not valid; use {form}") from error
    if not isinstance(value, dict if is_table else list):
        raise ValueError(f"{text!r} is not valid; use {form}")  # noqa: TRY004
    return value


def _nearest_variable(variable: str) -> str:
    """Return a proposal for an unknown variable; two underscores follow the table's name."""
    known = {
        f"{PREFIX}{table.name}__{field.name}".upper()
        for table in msgspec.structs.fields(Settings)
        for field in (msgspec.structs.fields(table.type) if table.name != "user" else ())
    }
    nearest = difflib.get_close_matches(variable, sorted(known | VARIABLES), 1, 0.8)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _types(table: str) -> dict[str, Any]:
    """Return the types of a table's keys."""
    for known in msgspec.structs.fields(Settings):
        if known.name == table and table != "user":
            return {field.name: field.type for field in msgspec.structs.fields(known.type)}
    return {}


def _unknown(tables: Mapping[str, Any], origins: Mapping[tuple[str, str], str]) -> Iterator[str]:
    known = [field.name for field in msgspec.structs.fields(Settings)]
    for table, content in tables.items():
        if table not in known:
            yield f"[{table}] is not known{_nearest(table, known)}"
        elif table != "user" and isinstance(content, dict):
            keys = list(_types(table))
            for key in content:
                if key not in keys:
                    where = f"{origins[table, key]}: " if (table, key) in origins else ""
                    yield f"{where}[{table}] {key} is not known{_nearest(key, keys)}"


def _convert(
    path: Path,
    text: str,
    tables: Mapping[str, Any],
    origins: Mapping[tuple[str, str], str],
    mistakes: list[str],
) -> dict[str, Any]:
    """Return the tables as settings; add a mistake for each value that is wrong."""
    found: dict[str, Any] = {}
    for known in msgspec.structs.fields(Settings):
        content = tables.get(known.name, {})
        if known.name == "user" or not isinstance(content, dict):
            values, types = {known.name: content}, {known.name: known.type}
        else:
            values, types = content, _types(known.name)
        for key, value in values.items():
            if key not in types:
                continue  # reported as unknown
            table = "" if values is not content else known.name
            for at, name, problem in _problems(value, types[key], table, key):
                line = _line_of(text, _key(name), at if "." in at else "")
                where = origins.get((known.name, key)) or f"{path}{line}"
                mistakes.append(f"{where}: {problem}")
        if not mistakes:
            found[known.name] = msgspec.convert(content, known.type, strict=False)
    return found


def _key(name: str) -> str:
    return rf"^\s*[\"']?{re.escape(name)}[\"']?\s*="


def _problems(value: Any, declared: Any, table: str, key: str) -> Iterator[tuple[str, str, str]]:
    """Yield the table, the key and the text of each problem of a value.

    Of tables by name, such as ``[outgoing.rest.crm]``, each key is read alone.
    """
    at = f"{table}.{key}" if table else key
    of = get_args(declared)[-1] if get_origin(declared) is dict else None
    if not (isinstance(of, type) and issubclass(of, msgspec.Struct) and isinstance(value, dict)):
        try:
            msgspec.convert(value, declared, strict=False)
        except msgspec.ValidationError as error:
            yield table, key, _text_of(error, at, declared)
        return
    fields = {field.name: field for field in msgspec.structs.fields(of)}
    for name, content in value.items():
        below = f"{at}.{name}"
        if not isinstance(content, dict):
            yield at, name, f"Expected `object` - at `$.{below}`"
            continue
        for each, item in content.items():
            if each in fields:
                yield from _problems(item, fields[each].type, below, each)
            else:
                yield below, each, f"[{below}] {each} is not known{_nearest(each, fields)}"
        for each, field in fields.items():
            if field.required and each not in content:
                yield below, each, f"[{below}] {each} is missing"


def _text_of(error: msgspec.ValidationError, at: str, declared: Any) -> str:
    """Return the text of an error, with the allowed words and its place in the whole file."""
    text, _, below = str(error).partition(" - at `$")
    words = ", ".join(map(repr, get_args(declared))) if get_origin(declared) is Literal else ""
    allowed = f"; use one of {words}" if words else ""
    return f"{text}{allowed} - at `$.{at}{below.rstrip('`')}`"


def _nearest(name: str, known: Iterable[str]) -> str:
    nearest = difflib.get_close_matches(name, list(known), 1)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; known are {', '.join(known)}"
