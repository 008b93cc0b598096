"""Which services there are: names to classes, and what is known of each."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any
from zlib import crc32

from zato_lite.errors import ConfigError, ServiceExistsError, ServiceMissingError
from zato_lite.service.base import Service
from zato_lite.service.needs import needs_of
from zato_lite.service.typed import declared

AnyService = Service[Any, Any]

HOOKS = (
    "accept",
    "before_job",
    "before_one_time_job",
    "before_interval_based_job",
    "before_cron_style_job",
    "before_handle",
    "validate_input",
    "validate_output",
    "after_handle",
    "after_one_time_job",
    "after_interval_based_job",
    "after_cron_style_job",
    "after_job",
    "finalize_handle",
)
"""What a service may have besides ``handle``, in the order in which they are called."""

VERBS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
"""HTTP methods that a service may have a ``handle_…`` of its own for."""


class Entry:
    """A deployed service.

    Attributes:
        name: what it is invoked by.
        cls: its class.
        source: path of its file; empty for one that was made in place.
        is_internal: it came with the framework.
        is_active: False refuses invocations.
        is_blocking: its ``handle`` is a plain function, run in a worker thread.
        input, output: declared types, or None; ``read``, ``write``: how payloads become the one,
            and how answers become the other. ``read_text`` reads a query string.
        is_native: the input is of a type that msgspec knows itself.
        has_elements: the answer may be set bit by bit: elements, attributes of a model, a list.
        hooks, verbs: which hooks it has, and which HTTP methods it has handlers of its own for.
        has_handle: it has a ``handle`` besides those.
        is_plain: an async ``handle``, and neither hooks nor verbs.
        is_typed: there is something to do before ``handle``.
        needs: what the application must provide for it: attribute and protocol.
        calls, ended, errors, seconds: counted by the invoker.
    """

    __slots__ = (
        "calls",
        "cls",
        "ended",
        "errors",
        "has_elements",
        "has_handle",
        "hooks",
        "input",
        "is_active",
        "is_blocking",
        "is_internal",
        "is_native",
        "is_plain",
        "is_typed",
        "name",
        "needs",
        "output",
        "read",
        "read_text",
        "seconds",
        "source",
        "verbs",
        "write",
    )

    def __init__(self, cls: type[AnyService], *, source: str, is_internal: bool) -> None:
        self.name = cls.get_name()
        self.cls = cls
        self.source = source
        self.is_internal = is_internal
        self.is_active = True
        self.hooks = frozenset(name for name in HOOKS if _has_own(cls, name))
        self.verbs = frozenset(verb for verb in VERBS if hasattr(cls, f"handle_{verb}"))
        self.has_handle = _has_own(cls, "handle")
        handles = [f"handle_{verb}" for verb in self.verbs] + ["handle"] * self.has_handle
        self.is_blocking = bool(handles) and not any(
            inspect.iscoroutinefunction(getattr(cls, name)) for name in handles
        )
        self.is_plain = not (self.is_blocking or self.hooks or self.verbs)
        takes, gives = declared(cls, "input"), declared(cls, "output")
        self.input = takes.type if takes else None
        self.output = gives.type if gives else None
        self.read = takes.reader() if takes and cls.reads_input else None
        self.is_native = takes.is_native if takes else False
        self.read_text = takes.reader(is_strict=False) if takes else None
        # The types of the framework's own answers are checked by mypy and by tests.
        self.write = gives.writer() if gives and not is_internal else None
        self.has_elements = gives.is_set_bit_by_bit if gives else False
        self.is_typed = self.read is not None or self.has_elements
        self.needs = needs_of(cls)
        self.calls = 0
        self.errors = 0
        self.ended = 0
        self.seconds = 0.0

    @property
    def id(self) -> int:
        """A number that stands for the name, on every node and after every start."""
        return crc32(self.name.encode())

    @property
    def in_flight(self) -> int:
        """How many run now."""
        return self.calls - self.ended

    def __repr__(self) -> str:
        return f"<Entry {self.name}>"


def _has_own(cls: type[AnyService], name: str) -> bool:
    return getattr(cls, name) is not getattr(Service, name)


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
        """Deploy a service.

        Raises:
            ServiceExistsError: there is another one of this name.
            ConfigError: it needs what the application does not provide.
        """
        entry = self._checked(Entry(cls, source=source, is_internal=is_internal))
        self._put(entry, self.entries.get(entry.name))
        return entry

    def offered(self, source: str, classes: Iterable[type[AnyService]]) -> list[Entry]:
        """What would be the services of a file; nothing is changed.

        Raises:
            ConfigError: one of them needs what the application does not provide.
        """
        entries = [Entry(cls, source=source, is_internal=False) for cls in classes]
        if self._resources is not None:
            for entry in entries:
                _check(entry, self._resources)
        return entries

    def swap(self, files: Mapping[str, Iterable[Entry]]) -> None:
        """Make these the services of these files, all at once; those they had before are gone.

        Nothing is refused any more: whether names are free was asked before.
        """
        before = dict(self.entries)
        for name, entry in before.items():
            if entry.source in files and not entry.is_internal:
                del self.entries[name]
        for entries in files.values():
            for entry in entries:
                self._put(entry, before.get(entry.name))

    def of(self, source: str) -> list[Entry]:
        """The services of a file."""
        return [entry for entry in self if entry.source == source and not entry.is_internal]

    def get(self, name: str) -> Entry:
        """The service of this name.

        Raises:
            ServiceMissingError: there is none; the message has the nearest names.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise ServiceMissingError(f"Service `{name}` does not exist{self._nearest(name)}")
        return entry

    def by_id(self, service_id: Any) -> Entry:
        """The service of this id.

        Raises:
            ServiceMissingError: there is none.
        """
        for entry in self.entries.values():
            if entry.id == service_id:
                return entry
        raise ServiceMissingError(f"No service has the id {service_id}")

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

    def _checked(self, entry: Entry) -> Entry:
        other = self.entries.get(entry.name)
        if other is not None and (other.source != entry.source or other.is_internal):
            where = other.source or other.cls.__module__
            raise ServiceExistsError(f"Service `{entry.name}` already exists, in {where}")
        if self._resources is not None:
            _check(entry, self._resources)
        return entry

    def _put(self, entry: Entry, old: Entry | None) -> None:
        """A new version goes on counting, and stays inactive if the old one was."""
        if old is not None:
            entry.calls = entry.ended = old.ended
            entry.errors, entry.seconds = old.errors, old.seconds
            entry.is_active = old.is_active
        entry.cls.name = entry.name
        self.entries[entry.name] = entry

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
