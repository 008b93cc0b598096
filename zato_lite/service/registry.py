"""The registry: deployed services by name."""

import copy
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple

from zato_lite.errors import ConfigError, ServiceExistsError, ServiceMissingError, UnavailableError
from zato_lite.service.access import matches
from zato_lite.service.built_in import BuiltIn
from zato_lite.service.entry import AnyService, Entry
from zato_lite.service.middleware import Middleware
from zato_lite.service.needs import needs_of_all
from zato_lite.service.resource import type_name
from zato_lite.service.strategies import choose_strategy

_MAX_NAME = 200
"""Letters of an unknown name that are compared with the known ones, and shown."""


def new_entry(cls: type[AnyService], *, source: str, is_internal: bool) -> Entry:
    """Create the entry of a service, with the strategy that runs it."""
    return _with_strategy(Entry(cls, source=source, is_internal=is_internal))


def renewed(entry: Entry) -> Entry:
    """Return another entry of the same service, so that the invocations of each are counted."""
    return _copied(entry, entry.middleware)


def surrounded(entry: Entry, outer: Sequence[Middleware]) -> Entry:
    """Return a service's entry, or another one, with this middleware around its own."""
    middleware = (*outer, *entry.cls.middleware)
    return entry if entry.middleware == middleware else _copied(entry, middleware)


def _copied(entry: Entry, middleware: Sequence[Middleware]) -> Entry:
    other = copy.copy(entry)
    other.holds, other.ended, other.middleware = set(), entry.calls, (*middleware,)
    other.needs = needs_of_all(entry.cls, middleware)
    return _with_strategy(other)


def _with_strategy(entry: Entry) -> Entry:
    strategy = choose_strategy(entry)
    entry.strategy = BuiltIn(entry.name, strategy) if entry.is_internal else strategy
    return entry


def _itself(cls: type[AnyService]) -> type[AnyService]:
    return cls


class Withheld(NamedTuple):
    """A service that is not deployed, and the reason."""

    entry: Entry
    reason: str


class Registry:
    """The deployed services by name.

    Attributes:
        entries: the services.
        withheld: services that are not deployed because a resource is not open, by name.
        resources: the objects that services may need; None before the invoker has set them.
        stand_in: returns the class that is deployed in place of a class: tests have fakes.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.withheld: Mapping[str, Withheld] = {}
        self.resources: dict[Any, Any] | None = None
        self.stand_in: Callable[[type[AnyService]], type[AnyService]] = _itself

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self.entries.values(), key=lambda entry: entry.name))

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        """Return True if a service is deployed, or will be when its resources are open."""
        return name in self.entries or name in self.withheld

    def add(self, cls: type[AnyService], *, source: str = "", is_internal: bool = False) -> Entry:
        """Deploy a service.

        Raises:
            ServiceExistsError: another service has this name.
            ConfigError: the application does not provide a resource that it needs.
        """
        entry = self._checked(
            new_entry(self.stand_in(cls), source=source, is_internal=is_internal)
        )
        self._put(entry, self.entries.get(entry.name))
        return entry

    def make_entries(self, source: str, classes: Iterable[type[AnyService]]) -> list[Entry]:
        """Create the entries of a file without deploying them."""
        return [new_entry(self.stand_in(cls), source=source, is_internal=False) for cls in classes]

    def swap(self, files: Mapping[str, Iterable[Entry]]) -> None:
        """Replace the services of these files in one step.

        Nothing is refused; the caller has checked that the names are free.
        """
        before = dict(self.entries)
        for name, entry in before.items():
            if entry.source in files and not entry.is_internal:
                del self.entries[name]
        for entries in files.values():
            for entry in entries:
                self._put(entry, before.get(entry.name))

    def of(self, source: str) -> list[Entry]:
        """Return the services of a file."""
        return [entry for entry in self if entry.source == source and not entry.is_internal]

    def get(self, name: str, patterns: Collection[str] = ()) -> Entry:
        """Return the service of this name.

        Raises:
            ServiceMissingError: no service has it; the message suggests the nearest names that
                the patterns match.
            UnavailableError: the service waits for a resource.
        """
        entry = self.entries.get(name)
        if entry is None and name in self.withheld:
            raise UnavailableError(
                f"Service `{name}` is not deployed: {self.withheld[name].reason}"
            )
        if entry is None:
            shown = name if len(str(name)) <= _MAX_NAME else f"{str(name)[:_MAX_NAME]}…"
            raise ServiceMissingError(
                f"Service `{shown}` does not exist{self.suggestion(shown, patterns)}"
            )
        return entry

    def by_id(self, service_id: Any) -> Entry:
        """Return the service of this id.

        Raises:
            ServiceMissingError: no service has it.
        """
        for entry in self.entries.values():
            if entry.id == service_id:
                return entry
        raise no_such_id(service_id)

    def remove(self, name: str) -> None:
        """Undeploy a service; invocations that run are not affected."""
        del self.entries[self.get(name).name]

    def names(self) -> list[str]:
        """Return all names, sorted."""
        return sorted(self.entries)

    def require(self, resources: dict[Any, Any]) -> None:
        """Set the resources that services may need.

        Raises:
            ConfigError: a deployed service needs another resource.
        """
        self.resources = resources
        for entry in self.entries.values():
            _check(entry, resources)

    def _checked(self, entry: Entry) -> Entry:
        other = self.entries.get(entry.name)
        if other is not None and (other.source != entry.source or other.is_internal):
            where = other.source or other.cls.__module__
            raise ServiceExistsError(f"Service `{entry.name}` already exists, in {where}")
        if self.resources is not None:
            _check(entry, self.resources)
        return entry

    def _put(self, entry: Entry, old: Entry | None) -> None:
        """Deploy an entry; it inherits the counters and the inactivity of its old version."""
        if old is not None and old is not entry:
            # Calls in progress count as ended, so that the sum shown in metrics never decreases.
            entry.calls = entry.ended = old.calls
            entry.errors, entry.seconds = old.errors, old.seconds
            entry.latest, entry.failures = old.latest, old.failures
            entry.is_active = old.is_active
        entry.cls.name = entry.name
        self.entries[entry.name] = entry

    def suggestion(self, name: str, patterns: Collection[str]) -> str:
        """Return the end of a sentence about an unknown name: the nearest that match, if any."""
        if len(str(name)) > _MAX_NAME:
            return ""
        known = [other for other in self.entries if matches(other, patterns)]
        near = get_close_matches(str(name), known, n=3, cutoff=0.6)
        suggested = " or ".join(f"`{other}`" for other in near)
        return f"; did you mean {suggested}?" if near else ""


def no_such_id(service_id: Any) -> ServiceMissingError:
    """Return the error for an id that no service has, as far as the caller may know."""
    return ServiceMissingError(f"No service has the id {service_id}")


def _check(entry: Entry, resources: Mapping[Any, object]) -> None:
    missing = [
        f"{entry.name}.{attribute} needs {type_name(need.key.type).rpartition('.')[2]}"
        for attribute, need in entry.needs.items()
        if need.place not in resources
    ]
    if missing:
        raise ConfigError("; ".join(missing) + ", not provided by the application")
