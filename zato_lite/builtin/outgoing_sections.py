"""Sections ``outgoing_rest``, ``sql``, ``email_smtp`` of the jobs file: outgoing connections."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec

from zato_lite.builtin.documents import Item
from zato_lite.builtin.enmasse import at_line
from zato_lite.errors import ConfigError, FieldError
from zato_lite.outgoing_config import Outgoing, Rest, Smtp, Sql

_NO_SECURITY = frozenset({"", "zato-no-security"})
_DRIVERS = {"mysql": "mysql+aiomysql", "postgresql": "postgresql", "sqlite": "sqlite"}
_MODES = {"plain": "none", "ssl": "tls", "starttls": "starttls"}

Check = Callable[[str, str, Any], None]
"""Raises ConfigError if a connection cannot be made of a kind, a name and settings."""


class Plan(NamedTuple):
    """Effect of the sections.

    Attributes:
        outgoing: the connections.
        security: names of the definitions that they use.
        errors: of the entries that are left out.
        differences: sentences about fields without effect.
    """

    outgoing: Outgoing
    security: frozenset[str]
    errors: list[FieldError]
    differences: list[str]


class _Section(NamedTuple):
    """A section whose entries are settings ``[outgoing.<kind>.NAME]``."""

    kind: str
    settings: type[Any]
    convert: Callable[[Mapping[str, Any], Mapping[str, Item]], dict[str, Any]]
    fields: frozenset[str]


def plan_of(
    items: Mapping[str, Mapping[str, Item]],
    security: Mapping[str, Item],
    configured: Outgoing,
    check: Check,
) -> Plan:
    """Return the effect of sections, whose entries are given by name.

    Args:
        items: the entries of each section.
        security: the definitions of the section ``security``.
        configured: the connections of the settings, whose names are taken.
        check: raises if a connection cannot be made.
    """
    found: dict[str, dict[str, Any]] = {"rest": {}, "sql": {}, "smtp": {}}
    plan = Plan(Outgoing(), frozenset(), [], [])
    used = set()
    for label, section in SECTIONS.items():
        for name, item in items.get(label, {}).items():
            if item.value.get("is_active", True) is False:
                continue
            try:
                _check_free(name, getattr(configured, section.kind))
                settings = msgspec.convert(
                    section.convert(item.value, security), section.settings, strict=False
                )
                check(section.kind, name, settings)
            except (ConfigError, msgspec.ValidationError) as error:
                field, text = _field_of(str(error), item)
                where = at_line(item, field, f"{label} `{name}`: {text}")
                plan.errors.append(FieldError(field, None, where))
                continue
            found[section.kind][name] = settings
            used.add(_security_of(item.value))
            plan.differences.extend(_ignored(f"{label} `{name}`", item, section.fields))
    return plan._replace(outgoing=Outgoing(**found), security=frozenset(used - _NO_SECURITY))


def _check_free(name: str, taken: Mapping[str, Any]) -> None:
    if name in taken:
        raise ConfigError("name: it is in the settings already")


def _field_of(text: str, item: Item) -> tuple[str, str]:
    """Return the field that a message begins with, if the entry has it, and the message."""
    field = text.partition(":")[0].partition(" ")[0]
    return (field if field in item.lines else "name"), text


def _security_of(sent: Mapping[str, Any]) -> str:
    return str(sent.get("security") or sent.get("security_name") or "")


def _rest(sent: Mapping[str, Any], security: Mapping[str, Item]) -> dict[str, Any]:
    host, path = _needed(sent, "host"), str(sent.get("url_path") or "").lstrip("/")
    settings = {
        "url": f"{host.rstrip('/')}/{path}" if path else host,
        **_present(sent, {"timeout": "timeout", "validate_tls": "verify"}),
    }
    name = _security_of(sent)
    if name in _NO_SECURITY:
        return settings
    if name not in security:
        known = ", ".join(sorted(security)) or "none"
        raise ConfigError(f"security: {name!r} is not defined; defined are: {known}")
    defined = security[name].value
    secret = _needed(defined, "password")
    if defined.get("type") == "basic_auth":
        username = _needed(defined, "username")
        return {**settings, "auth": "basic", "username": username, "secret": secret}
    if defined.get("type") == "apikey":
        return {**settings, "auth": "api_key", "secret": secret}
    raise ConfigError(
        f"security: type {defined.get('type')!r} is not supported; use basic_auth or apikey"
    )


def _sql(sent: Mapping[str, Any], _: Mapping[str, Item]) -> dict[str, Any]:
    kind, database = str(sent.get("type") or sent.get("engine") or ""), _needed(sent, "db_name")
    if kind not in _DRIVERS:
        raise ConfigError(
            f"type: {kind!r} is not supported; use {', '.join(_DRIVERS)}, or [outgoing.sql]"
        )
    if kind == "sqlite":
        return {"url": f"sqlite:///{database}"}
    user = quote(str(sent.get("username") or ""), safe="")
    port = f":{sent['port']}" if sent.get("port") else ""
    address = f"{user}@{_needed(sent, 'host')}{port}/{quote(database)}"
    more = {"password": "password", "pool_size": "pool_size"}
    return {"url": f"{_DRIVERS[kind]}://{address}", **_present(sent, more)}


def _smtp(sent: Mapping[str, Any], _: Mapping[str, Item]) -> dict[str, Any]:
    mode = str(sent.get("mode") or "starttls").lower()
    if mode not in _MODES:
        raise ConfigError(f"mode: {mode!r} is not supported; use {', '.join(_MODES)}")
    names = ("host", "port", "username", "password", "timeout")
    _needed(sent, "host")
    return {"tls": _MODES[mode], **_present(sent, dict(zip(names, names, strict=True)))}


def _needed(sent: Mapping[str, Any], field: str) -> str:
    value = sent.get(field)
    if not value:
        raise ConfigError(f"{field}: Missing required input element: {field}")
    return str(value)


def _present(sent: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields that were sent, under the names of the settings."""
    return {to: sent[name] for name, to in names.items() if sent.get(name) not in (None, "")}


def _ignored(label: str, item: Item, known: frozenset[str]) -> Iterator[str]:
    for field, value in item.value.items():
        if field not in known and value not in (None, ""):
            yield at_line(item, field, f"{label}: {field} has no effect here")


_COMMON = frozenset({"name", "is_active"})

SECTIONS = {
    "outgoing_rest": _Section(
        "rest", Rest, _rest,
        _COMMON | {"host", "url_path", "security", "security_name", "timeout", "validate_tls",
                   "data_format"},
    ),
    "sql": _Section(
        "sql", Sql, _sql,
        _COMMON | {"type", "engine", "host", "port", "db_name", "username", "password",
                   "pool_size"},
    ),
    "email_smtp": _Section(
        "smtp", Smtp, _smtp,
        _COMMON | {"host", "port", "mode", "username", "password", "timeout"},
    ),
}  # fmt: skip
"""The sections, by name."""
