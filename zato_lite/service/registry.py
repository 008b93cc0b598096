"""Which services there are: names to classes, and what is known of each."""

import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from zato_lite.errors import ConfigError, ServiceExistsError, ServiceMissingError
from zato_lite.service.base import Service
from zato_lite.service.needs import needs_of

AnyService = Service[Any, Any]


class Entry:
    """A deployed service.

    Attributes:
        name: what it is invoked by.
        cls: its class.
        source: path of its file; empty for one that was made in place.
        is_internal: it came with the framework.
        is_active: False refuses invocations.
        is_blocking: its ``handle`` is a plain function, run in a worker thread.
        input, output: declared types, or None.
        needs: what the application must provide for it: attribute and protocol.
        calls, errors, in_flight, seconds: counted by the invoker.
    """

    __slots__ = (
        "calls",
        "cls",
        "errors",
        "in_flight",
        "input",
        "is_active",
        "is_blocking",
        "is_internal",
        "is_plain",
        "name",
        "needs",
        "output",
        "seconds",
        "source",
    )

    def __init__(self, cls: type[AnyService], *, source: str, is_internal: bool) -> None:
        self.name = cls.get_name()
        self.cls = cls
        self.source = source
        self.is_internal = is_internal
        self.is_active = True
        self.is_blocking = not inspect.iscoroutinefunction(cls.handle)
        self.is_plain = not self.is_blocking
        self.input: Any = None
        self.output: Any = None
        self.needs = needs_of(cls)
        self.calls = 0
        self.errors = 0
        self.in_flight = 0
        self.seconds = 0.0

    def __repr__(self) -> str:
        return f"<Entry {self.name}>"


class Registry:
    """The deployed services by name."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self._resources: Mapping[type, object] | None = None

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self.entries.values(), key=lambda entry: entry.name))

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def add(self, cls: type[AnyService], *, source: str = "", is_internal: bool = False) -> Entry:
        """Deploy a service; one from the same file replaces its earlier version.

        Raises:
            ServiceExistsError: another file has a service of this name.
            ConfigError: it needs what the application does not provide.
        """
        entry = Entry(cls, source=source, is_internal=is_internal)
        other = self.entries.get(entry.name)
        if other is not None and (other.source != source or other.is_internal):
            where = other.source or other.cls.__module__
            raise ServiceExistsError(f"Service `{entry.name}` already exists, in {where}")
        if self._resources is not None:
            _check(entry, self._resources)
        cls.name = entry.name
        self.entries[entry.name] = entry
        return entry

    def get(self, name: str) -> Entry:
        """The service of this name.

        Raises:
            ServiceMissingError: there is none; the message has the nearest names.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise ServiceMissingError(f"Service `{name}` does not exist{self._nearest(name)}")
        return entry

    def remove(self, name: str) -> None:
        """Undeploy a service; what runs, runs on."""
        del self.entries[self.get(name).name]

    def names(self) -> list[str]:
        """All names, in order."""
        return sorted(self.entries)

    def require(self, resources: Mapping[type, object]) -> None:
        """From now on every service's needs must be among these.

        Raises:
            ConfigError: a service that is there already needs something else.
        """
        self._resources = resources
        for entry in self.entries.values():
            _check(entry, resources)

    def _nearest(self, name: str) -> str:
        near = get_close_matches(str(name), self.entries, n=3, cutoff=0.6)
        return (
            "; did you mean " + " or ".join(f"`{other}`" for other in near) + "?" if near else ""
        )


def _check(entry: Entry, resources: Mapping[type, object]) -> None:
    missing = [
        f"{entry.name}.{attribute} needs {protocol.__name__}"
        for attribute, protocol in entry.needs.items()
        if protocol not in resources
    ]
    if missing:
        raise ConfigError("; ".join(missing) + ", which the application does not provide")
