"""Resources of a project: opened before services need them, closed after their last use."""

import asyncio
import inspect
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import Context
from itertools import chain
from pathlib import Path
from typing import Any

from zato_lite.deploy.instances import Instance
from zato_lite.deploy.loader import Failure
from zato_lite.deploy.wiring import Wiring, all_keys, needed, needed_by, wire
from zato_lite.log_values import shown
from zato_lite.service.attribute_dict import Config
from zato_lite.service.containment import protect
from zato_lite.service.entry import Entry
from zato_lite.service.needs import Needs, Opened, place_of
from zato_lite.service.registry import Registry, Withheld, renewed
from zato_lite.service.resource import Key, Resource

Definition = Resource[Any]

_DRAIN_S = 0.02
"""Seconds between checks that the last invocation with a replaced resource has ended."""

_READY_S = 2.0
"""Seconds that a resource's ``ready`` may take."""

_log = logging.getLogger(__name__)


class Resources:
    """Opens the resources that services need, and decides which services can be deployed.

    ``open`` prepares a swap of services, ``settle`` is a part of it, in one turn of the loop.

    Args:
        registry: the services.
        folder: names in messages are relative to its parent.
        config: returns the settings that resources receive.
        opens: False to find faults without opening.
        patience: seconds that a resource may take to open.
        on_failure: called when a resource has ended that services need.

    Attributes:
        faults: files with a resource that is not open, or a need without one, and the reasons.
        withheld: services that are not deployed for that, by their file.
        replacements: types of objects that a test provides, or pairs of a type and a name.
    """

    def __init__(
        self,
        registry: Registry,
        folder: Path,
        config: Callable[[], Config],
        *,
        opens: bool = True,
        patience: float,
        on_failure: Callable[[], object],
    ) -> None:
        self.faults: dict[Path, Failure] = {}
        self.withheld: dict[str, list[Entry]] = {}
        self.replacements: Collection[Any] = ()
        self._registry, self._folder, self._config = registry, folder, config
        self._opens, self._patience, self._on_failure = opens, patience, on_failure
        self._wiring = Wiring((), {}, {})
        self._definitions: Sequence[Definition] = ()
        self._wanted: set[Definition] = set()
        self._newest: dict[Definition, Instance] = {}
        self._bound: dict[Key, Instance] = {}
        self._all: list[Instance] = []
        self._draining: list[Entry] = []
        self._closing: dict[Instance, asyncio.Task[None]] = {}

    async def open(
        self, definitions: Sequence[Definition], entries: Iterable[Entry], seconds: float
    ) -> set[Definition]:
        """Open what these services need; return the definitions that take longer than that."""
        keys = _keys_of(entries)
        self._definitions = definitions
        every = chain(keys, all_keys(definitions))
        self._wiring = wire(every, definitions, self._is_provided, self._place)
        self._wanted = needed(keys, self._wiring)
        if not self._opens:
            return set()
        for definition in self._wiring.order:
            if definition in self._wanted:
                self._instance(definition)
        instances = [self._newest[definition] for definition in self._wanted]
        if attempts := [each.attempt for each in instances if not each.is_over]:
            await asyncio.wait(attempts, timeout=seconds)
        return {each.definition for each in instances if not each.is_over}

    def attempts(self, definitions: Iterable[Definition]) -> list[asyncio.Future[None]]:
        """Return the openings of these definitions."""
        return [self._newest[each].attempt for each in definitions]

    def reach(self, entries: Iterable[Entry]) -> set[Definition]:
        """Return the definitions that services need, directly or not."""
        return needed(_keys_of(entries), self._wiring)

    def settle(self, desired: Mapping[str, Sequence[Entry]]) -> dict[str, list[Entry]]:
        """Return the services to serve, by file, of those desired: others wait for a resource.

        An earlier version is served on if its resources are open; a service with a new resource
        gets a new entry.
        """
        fresh = {
            key: instance
            for key, definition in self._wiring.by_key.items()
            if (instance := self._newest.get(definition)) is not None and instance.is_open
        }
        before = {key: instance for key, instance in self._bound.items() if instance.is_open}
        available = {**before, **fresh}
        self._bound = {}
        self.withheld = {}
        served: dict[str, list[Entry]] = {}
        for source, entries in desired.items():
            served[source] = []
            for entry in entries:
                keys = _keys_of([entry])
                if not all(self._has(key, available) for key in keys):
                    old = self._registry.entries.get(entry.name)
                    waiting = renewed(entry) if entry is old else entry
                    self.withheld.setdefault(source, []).append(waiting)
                    if entry is old or old is None or old.source != source:
                        continue
                    entry, keys = old, _keys_of([old])  # noqa: PLW2901
                bound = {key: available[key] for key in keys if key in available}
                self._bound |= bound
                is_served = self._registry.entries.get(entry.name) is entry
                is_moved = any(before.get(key) is not instance for key, instance in bound.items())
                served[source].append(renewed(entry) if is_served and is_moved else entry)
        return served

    def switch(self, replaced: Iterable[Entry], coming: Collection[Definition]) -> None:
        """Give services the resources from now on; close those that none needs any more.

        Args:
            replaced: entries that are not served any more.
            coming: definitions of files that are about to be deployed.
        """
        self._report()
        provided = self._provided
        for key, instance in self._bound.items():
            provided[place_of(key)] = instance.opened
        self._draining = [each for each in (*self._draining, *replaced) if not each.is_idle]
        kept = _with_lower(self._bound.values())
        for instance in reversed(self._all):
            definition = instance.definition
            is_newest = self._newest.get(definition) is instance
            if is_newest and (definition in self._wanted or definition in coming):
                kept |= _with_lower([instance])
            elif is_newest and instance not in kept:
                del self._newest[definition]
            if instance not in kept and instance not in self._closing:
                # Not in the context of a service that deploys: it could not cancel an opening.
                closing = self._close_after_use(instance)
                task = asyncio.create_task(closing, context=Context())
                protect(task)
                self._closing[instance] = task

    async def close(self) -> None:
        """Close all, the last opened first."""
        for task in self._closing.values():
            task.cancel()
        while self._all:
            await self._all.pop().close()

    async def drained(self) -> None:
        """Wait until the resources that have been replaced are closed."""
        while self._closing:
            await asyncio.wait([*self._closing.values()])

    async def troubles(self) -> dict[str, str]:
        """Return the reasons for which open resources cannot be used, by resource."""
        instances = dict.fromkeys(self._bound.values())
        found = {f"resource {each.definition.name}": await _trouble(each) for each in instances}
        return {name: text for name, text in found.items() if text}

    # Opening

    @property
    def _provided(self) -> dict[Any, Any]:
        if self._registry.resources is None:
            self._registry.resources = {}
        return self._registry.resources

    def _is_provided(self, key: Key) -> bool:
        """Return True if the application, or a test, provides this."""
        found = self._provided.get(place_of(key))
        if found is None and (replaced := self._replaced(key)) is not None:
            found = self._provided[place_of(key)] = self._provided[replaced]
        return found is not None and type(found) is not Opened

    def _replaced(self, key: Key) -> Any:
        """Return the place of a test's object for this key.

        A type of the project's own files is another object after their import by deployment.
        """
        for place in self.replacements:
            known = place if isinstance(place, tuple) else (place, "")
            if known[1] == key.name and _is_same_type(known[0], key.type):
                return place
        return None

    def _has(self, key: Key, available: Mapping[Key, Instance]) -> bool:
        is_wired = not self._opens and key in self._wiring.by_key
        return key in available or is_wired or self._is_provided(key)

    def _instance(self, definition: Definition) -> None:
        """Begin to open a resource, unless it is open with the present settings and resources."""
        config = self._config()
        built_on = [self._newest[each] for each in self._wiring.built_on(definition)]
        found = self._newest.get(definition)
        if found is not None and found.fits(config, built_on):
            return
        values = {
            name: self._value_of(key)
            for name, key in definition.signature.parameters.items()
            if key is not None
        }
        instance = Instance(
            definition,
            config,
            values,
            built_on,
            patience=self._patience,
            on_failure=self._on_failure,
        )
        self._newest[definition] = instance
        self._all.append(instance)

    def _value_of(self, key: Key) -> Callable[[], Any]:
        if (definition := self._wiring.by_key.get(key)) is not None:
            opened = self._newest[definition].opened
            return lambda: opened.value
        value = self._provided[place_of(key)]
        return lambda: value

    # Closing

    async def _close_after_use(self, instance: Instance) -> None:
        """Close an instance when no invocation and no other resource uses it any more."""
        kind = instance.definition.signature.provides
        users = [
            entry
            for entry in self._draining
            if any(need.key.type == kind for need in entry.needs.values())
        ]
        while instance.users or not all(entry.is_idle for entry in users):  # noqa: ASYNC110
            # A signal of each invocation's end would cost each invocation something.
            await asyncio.sleep(_DRAIN_S)
        await instance.close()
        self._all.remove(instance)
        del self._closing[instance]
        for place in [p for p, value in self._provided.items() if value is instance.opened]:
            del self._provided[place]

    # Reporting

    def _report(self) -> None:
        """Find and log the faults; what did not open is forgotten, so that it is tried again."""
        found: list[tuple[Path, str]] = []
        reasons = dict(self._wiring.faults)
        for definition, instance in [*self._newest.items()]:
            if instance.error is not None:
                line, reason = instance.failure()
                found.append((Path(definition.file), f"line {line}: {definition}: {reason}"))
                del self._newest[definition]
                self._all.remove(instance)
        for key, definition in self._wiring.by_key.items():
            if definition in self._wanted and definition not in self._newest:
                reasons[key] = f"{self._place(definition)} is not open"
        found += self._wrong_definitions()
        waiting = {entry.name: entry for entry in chain(*self.withheld.values())}
        names: dict[str, Withheld] = {}
        for name, entry in {**self._registry.entries, **waiting}.items():
            for attribute, need in entry.needs.items():
                if (why := reasons.get(need.key)) is None:
                    continue
                if name in waiting:
                    names[name] = Withheld(entry, why)
                if need.key in self._wiring.faults:
                    text = f"{_line_of(need, entry)}: {entry.cls.__qualname__}.{attribute}: {why}"
                    found.append((Path(entry.source), text))
        self._registry.withheld = names
        self._set_faults(found)

    def _wrong_definitions(self) -> Iterable[tuple[Path, str]]:
        """Yield definitions whose needs no resource fulfils, or whose name another one has."""
        faults = self._wiring.faults
        for definition in self._definitions:
            own = Key(definition.signature.provides, definition.name)
            for key in (own, *needed_by(definition)):
                if key in faults:
                    text = f"line {definition.line}: {definition}: {faults[key]}"
                    yield Path(definition.file), text
                    break

    def _set_faults(self, found: Iterable[tuple[Path, str]]) -> None:
        texts: dict[Path, dict[str, None]] = {}
        for path, text in found:
            texts.setdefault(path, {})[text] = None
        before, self.faults = self.faults, {}
        for path, lines in texts.items():
            message, details = shown("; ".join(lines)), shown("\n".join(lines))
            fault = self.faults[path] = Failure(path, message, details)
            if before.get(path) != fault:
                extra = {"source": str(path), "why": fault.message}
                _log.error("resource unavailable", extra=extra)

    def _place(self, definition: Definition) -> str:
        path = Path(definition.file)
        base = self._folder.parent
        place = path.relative_to(base) if path.is_relative_to(base) else path
        return f"{definition} ({place}:{definition.line})"


def _keys_of(entries: Iterable[Entry]) -> list[Key]:
    return [need.key for entry in entries for need in entry.needs.values()]


def _line_of(need: Needs[Any], entry: Entry) -> str:
    """Return the line of a declaration, with its file if that is not the service's."""
    here = "" if need.file == entry.source else f"{Path(need.file).name}, "
    return f"{here}line {need.line}"


def _is_same_type(one: Any, other: Any) -> bool:
    """Return True for a type and its version of another import, maybe under a longer path."""
    names = [getattr(each, "__qualname__", "") for each in (one, other)]
    modules = [f".{getattr(each, '__module__', '')}" for each in (one, other)]
    is_same_name = names[0] == names[1] and bool(names[0])
    return is_same_name and (modules[0].endswith(modules[1]) or modules[1].endswith(modules[0]))


def _with_lower(instances: Iterable[Instance]) -> set[Instance]:
    """Return the instances and all that they were built on."""
    found: set[Instance] = set()
    rest = [*instances]
    while rest:
        instance = rest.pop()
        if instance not in found:
            found.add(instance)
            rest += instance.built_on
    return found


async def _trouble(instance: Instance) -> str:
    """Return the reason why an instance cannot be used, or an empty text."""
    ready = instance.definition.ready
    if not instance.is_open:
        return "closed unexpectedly"
    if ready is None:
        return ""
    try:
        async with asyncio.timeout(_READY_S):
            answer = ready(instance.opened.value)
            if inspect.isawaitable(answer):
                answer = await answer
    except Exception as error:  # noqa: BLE001 - whatever the project's function raises is a reason
        return str(error) or repr(error)
    if isinstance(answer, str):
        return answer
    return "not ready" if answer is False else ""
