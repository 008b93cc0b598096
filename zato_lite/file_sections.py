"""Other sections of the jobs file: REST channels, credentials, outgoing connections."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple

import msgspec

from zato_lite.builtin.documents import Item
from zato_lite.builtin.enmasse import OWN_SECTIONS, at_line
from zato_lite.builtin.outgoing_sections import SECTIONS, plan_of
from zato_lite.deploy.ownership import Claim
from zato_lite.errors import ConfigError, FieldError, ServiceMissingError
from zato_lite.http.key_ring import KeyRing
from zato_lite.http.passwords import foreign_key_name, hash_key
from zato_lite.http.routes import channels_of, claims_of, parse_channel
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing_config import Outgoing
from zato_lite.service.registry import Registry
from zato_lite.store.accounts import ADMIN, Accounts, Credential

_log = logging.getLogger(__name__)

_MIN_SECRET = 8
_MIN_KEY = 16
"""Characters of an API key: its hash is fast, so the key must be too long to be guessed."""

_NO_SECURITY = frozenset({"", "zato-no-security"})
_CHANNEL_FIELDS = frozenset(
    {"name", "service", "url_path", "method", "security", "security_name", "data_format",
     "is_active"}
)  # fmt: skip
_SECURITY_FIELDS = frozenset({"name", "type", "username", "password", "is_active"})
_KINDS = {"basic_auth": "user", "apikey": "key"}


class SectionsPlan(NamedTuple):
    """Effect of the sections.

    Attributes:
        channels: services by channel, as in ``[server.channels]``.
        credentials: by the name of their definition; the secrets are in ``secrets``.
        errors: of the entries that are left out.
        differences: sentences about fields and entries without effect.
        outgoing: connections, by kind and name.
    """

    channels: Mapping[str, str]
    credentials: Mapping[str, Credential]
    secrets: Mapping[str, str]
    errors: Sequence[FieldError]
    differences: Sequence[str]
    outgoing: Outgoing


class FileSections:
    """Applies the sections.

    Args:
        services: the deployed services.
        configured: REST channels of the settings.
        channels: REST channels of the server; changed in place.
        accounts: the users and keys.
        keys: hashes passwords.
        connections: the outgoing connections.
        changed: called when the channels have changed.
    """

    names: frozenset[str] = frozenset(OWN_SECTIONS)

    def __init__(
        self,
        services: Registry,
        configured: Mapping[str, str],
        channels: MutableMapping[str, str],
        accounts: Accounts,
        *,
        keys: KeyRing,
        connections: Connections,
        changed: Callable[[], object],
    ) -> None:
        self._services, self._configured, self._channels = services, configured, channels
        self._accounts, self._keys, self._changed = accounts, keys, changed
        self._connections = connections

    def plan(self, items: Mapping[str, Sequence[Item]]) -> SectionsPlan:
        """Return the effect of the sections, and their mistakes."""
        errors: list[FieldError] = []
        differences: list[str] = []
        channels: dict[str, str] = {}
        rights: dict[str, list[str]] = {}
        definitions = _by_name(items.get("security", ()), errors)
        owners = {claim: "a service" for entry in self._services
                  for claim in claims_of(channels_of(entry.cls))}  # fmt: skip
        for text in self._configured:
            owners |= dict.fromkeys(claims_of([parse_channel(text)]), "[server.channels]")
        for name, item in _by_name(items.get("channel_rest", ()), errors).items():
            found = [*self._channel_errors(name, item, owners, definitions)]
            errors += found
            differences += _channel_differences(name, item)
            if not found and item.value.get("is_active", True) is not False:
                text, service = _channel_text(item.value), str(item.value["service"])
                owners |= dict.fromkeys(claims_of([parse_channel(text)]), f"channel `{name}`")
                channels[text] = service
                rights.setdefault(_security_of(item.value), []).append(service)
        sections = {label: _by_name(items.get(label, ()), errors) for label in SECTIONS}
        connections = self._connections
        outgoing = plan_of(sections, definitions, connections.configured, connections.check)
        errors += outgoing.errors
        differences += outgoing.differences
        credentials, secrets = {}, {}
        for name, item in definitions.items():
            if name in outgoing.security and name not in rights:
                continue  # credentials at another system
            found = [*_security_errors(name, item)]
            errors += found
            differences += _security_differences(name, item)
            if not found and item.value.get("type") in _KINDS:
                secrets[name] = str(item.value["password"])
                credentials[name] = _credential(item.value, rights.get(name, ()))
        return SectionsPlan(channels, credentials, secrets, errors, differences, outgoing.outgoing)

    async def apply(self, plan: SectionsPlan) -> None:
        """Serve the channels and have the connections instead of those of before; save users."""
        wanted_channels = {**self._configured, **plan.channels}
        if wanted_channels != self._channels:
            self._channels.clear()
            self._channels.update(wanted_channels)
            self._changed()
        try:
            old = self._connections.declare(plan.outgoing)
        except ConfigError as error:
            _log.error("connections of the jobs file not opened", extra={"why": str(error)})
        else:
            await self._connections.retire(old)
        for name, wanted in plan.credentials.items():
            await self._save(wanted, plan.secrets[name])

    async def _save(self, wanted: Credential, secret: str) -> None:
        """Save a credential if it differs; a password's hash stays while it matches."""
        before = await self._accounts.find(wanted.kind, wanted.name)
        if wanted.kind == "key":
            hashed = hash_key(secret)
        elif before is not None and await self._keys.passwords.matches(before.hash, secret):
            hashed = before.hash
        else:
            hashed = await self._keys.hash(secret)
        if (after := _merged(before, wanted, hashed)) != before:
            await self._accounts.save(after)

    def _channel_errors(
        self,
        name: str,
        item: Item,
        owners: Mapping[Claim, str],
        definitions: Mapping[str, Item],
    ) -> Iterator[FieldError]:
        sent = item.value
        for field in ("service", "url_path"):
            if not sent.get(field):
                yield _error(item, name, field, f"Missing required input element: {field}")
        if service := sent.get("service"):
            try:
                self._services.get(str(service))
            except ServiceMissingError as error:
                yield _error(item, name, "service", f"service: {error}")
        security = _security_of(sent)
        if security and security not in definitions:
            known = ", ".join(sorted(definitions)) or "none"
            text = f"security: {security!r} is not defined; defined are: {known}"
            yield _error(item, name, "security", text)
        if sent.get("data_format") not in (None, "", "json"):
            text = f"data_format: {sent['data_format']!r} is not supported; use json"
            yield _error(item, name, "data_format", text)
        if sent.get("url_path"):
            yield from _path_errors(name, item, owners)


def _merged(before: Credential | None, wanted: Credential, hashed: str) -> Credential:
    """Return a credential with what the file does not declare, such as a key's expiry."""
    return msgspec.structs.replace(
        before or wanted,
        hash=hashed,
        roles=wanted.roles,
        patterns=wanted.patterns,
        is_active=wanted.is_active,
        label=wanted.label,
    )


def _path_errors(name: str, item: Item, owners: Mapping[Claim, str]) -> Iterator[FieldError]:
    try:
        channel = parse_channel(_channel_text(item.value))
    except ConfigError as error:
        yield _error(item, name, "url_path", f"url_path: {error}")
        return
    for claim in claims_of([channel]):
        if claim in owners:
            text = f"url_path: {claim.key} is already a channel of {owners[claim]}"
            yield _error(item, name, "url_path", text)


def _by_name(items: Sequence[Item], errors: list[FieldError]) -> dict[str, Item]:
    """Return the entries by name; add an error for each that has none or one in use."""
    found: dict[str, Item] = {}
    counts: Counter[str] = Counter()
    for item in items:
        name = str(item.value.get("name") or "").strip()
        counts[name] += 1
        if not name:
            text = "Missing required input element: name"
            errors.append(_error(item, "entry", "name", text))
        elif counts[name] > 1:
            errors.append(_error(item, name, "name", "defined twice"))
        else:
            found[name] = item
    return found


def _security_of(sent: Mapping[str, Any]) -> str:
    name = str(sent.get("security") or sent.get("security_name") or "")
    return "" if name in _NO_SECURITY else name


def _channel_text(sent: Mapping[str, Any]) -> str:
    method = str(sent.get("method") or "").replace(" ", "")
    return f"{method} {sent['url_path']}".strip()


def _channel_differences(name: str, item: Item) -> Iterator[str]:
    yield from _ignored(f"channel `{name}`", item, _CHANNEL_FIELDS)
    if not _security_of(item.value):
        yield at_line(
            item, "name", f"channel `{name}` has no security; here it needs a user or key"
        )


def _security_differences(name: str, item: Item) -> Iterator[str]:
    kind = item.value.get("type")
    if kind not in _KINDS:
        text = f"security `{name}`: type {kind!r} has no effect here"
        yield at_line(item, "type", text)
        return
    yield from _ignored(f"security `{name}`", item, _SECURITY_FIELDS | {"realm"})


def _ignored(label: str, item: Item, known: frozenset[str]) -> Iterator[str]:
    for field, value in item.value.items():
        if field not in known and value not in (None, ""):
            yield at_line(item, field, f"{label}: {field} has no effect here")


def _security_errors(name: str, item: Item) -> Iterator[FieldError]:
    sent = item.value
    if sent.get("type") not in _KINDS:
        return
    is_user = sent["type"] == "basic_auth"
    if is_user and not sent.get("username"):
        yield _error(item, name, "username", "Missing required input element: username")
    if sent.get("username") == ADMIN:
        yield _error(item, name, "username", f"username: `{ADMIN}` is the server's own user")
    least = _MIN_SECRET if is_user else _MIN_KEY
    if len(str(sent.get("password") or "")) < least:
        text = f"password: at least {least} characters are needed; use a variable: ${{NAME}}"
        yield _error(item, name, "password", text)


def _credential(sent: Mapping[str, Any], services: Sequence[str]) -> Credential:
    """Return the credential, without its hash, which may invoke the services of its channels."""
    secret = str(sent["password"])
    is_user = sent["type"] == "basic_auth"
    return Credential(
        "user" if is_user else "key",
        str(sent["username"]) if is_user else foreign_key_name(secret),
        "",
        frozenset({"operator"}),
        tuple(sorted(set(services))) or ("zato.ping",),
        sent.get("is_active", True) is not False,
        "" if is_user else str(sent["name"]).strip(),
    )


def _error(item: Item, name: str, field: str, text: str) -> FieldError:
    return FieldError(field, None, at_line(item, field, f"{name}: {text}"))
