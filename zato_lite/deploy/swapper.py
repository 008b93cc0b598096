"""Swapper: brings versions of files into the registry, with their middleware and resources."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from zato_lite.deploy.loader import Candidate
from zato_lite.deploy.resources import Definition, Resources
from zato_lite.service.entry import Entry
from zato_lite.service.middleware import Middleware
from zato_lite.service.registry import Registry, surrounded


class Versions(NamedTuple):
    """Versions to swap in one step.

    Attributes:
        deployed: the versions of the files that are deployed.
        removed: files that are undeployed.
        files: all files, these included.
    """

    deployed: Mapping[Path, Candidate]
    removed: Collection[Path]
    files: Collection[Path]


class Late(NamedTuple):
    """Resources that take long: their openings, and the versions that wait for them."""

    openings: Sequence[asyncio.Future[None]]
    waiting: Sequence[Candidate]


class Swapper:
    """Knows which services, middleware and resources the files have, and swaps them together.

    Args:
        registry: receives the services.
        resources: opens the resources.
    """

    def __init__(self, registry: Registry, resources: Resources) -> None:
        self._registry, self._resources = registry, resources
        self._definitions: dict[Path, Sequence[Definition]] = {}
        self._middleware: dict[Path, Sequence[Middleware]] = {}

    async def open(self, versions: Versions, seconds: float) -> Late:
        """Open the resources that are needed after a swap, and wait that many seconds."""
        deployed, desired = versions.deployed, self._desired(versions)
        changed = {*deployed, *versions.removed}
        kept = [found for path, found in self._definitions.items() if path not in changed]
        coming = [candidate.resources for candidate in deployed.values()]
        entries = [*chain(*desired.values())]
        late = await self._resources.open([*chain(*kept, *coming)], entries, seconds)
        waiting = [
            candidate
            for path, candidate in deployed.items()
            if late & {*candidate.resources} or late & self._resources.reach(desired[str(path)])
        ]
        return Late(self._resources.attempts(late), waiting)

    def commit(self, versions: Versions, coming: Iterable[Candidate]) -> list[Path]:
        """Swap, in one turn of the loop; return the files whose services have changed.

        Args:
            versions: the versions.
            coming: versions that are being loaded, whose resources are kept open.
        """
        before = self._registry.entries.copy()
        served = self._resources.settle(self._desired(versions))
        self._middleware |= _middleware_of(versions)
        self._definitions |= dict.fromkeys(versions.removed, ())
        self._definitions |= {path: each.resources for path, each in versions.deployed.items()}
        numbers = Counter(entry.source for entry in before.values() if not entry.is_internal)
        files = {
            source: entries
            for source, entries in served.items()
            if Path(source) in versions.deployed
            or len(entries) != numbers[source]
            or any(before.get(entry.name) is not entry for entry in entries)
        }
        self._registry.swap({**dict.fromkeys(map(str, versions.removed), ()), **files})
        now = self._registry.entries
        replaced = [entry for name, entry in before.items() if now.get(name) is not entry]
        self._resources.switch(
            [entry for entry in replaced if entry.needs],
            [*chain(*(candidate.resources for candidate in coming))],
        )
        return [Path(source) for source in files]

    def _desired(self, versions: Versions) -> dict[str, list[Entry]]:
        """Return the services of each file after a swap, if all resources were open."""
        desired: dict[str, list[Entry]] = {}
        withheld = self._resources.withheld
        waiting = {entry.name for entry in chain(*withheld.values())}
        files = {*map(str, versions.files)} - {*map(str, versions.removed)}
        for entry in self._registry.entries.values():
            if entry.source in files and not entry.is_internal and entry.name not in waiting:
                desired.setdefault(entry.source, []).append(entry)
        for source, entries in withheld.items():
            if source in files:
                desired.setdefault(source, []).extend(entries)
        desired |= {str(path): [*each.entries] for path, each in versions.deployed.items()}
        middleware = self._middleware | _middleware_of(versions)
        return {
            source: [surrounded(entry, _outer(Path(source), middleware)) for entry in entries]
            for source, entries in desired.items()
        }


def _middleware_of(versions: Versions) -> dict[Path, Sequence[Middleware]]:
    """Return the middleware of the folders whose ``__init__.py`` is swapped."""
    found: dict[Path, Sequence[Middleware]] = dict.fromkeys(versions.removed, ())
    found |= {path: candidate.middleware for path, candidate in versions.deployed.items()}
    return {path.parent: each for path, each in found.items() if path.name == "__init__.py"}


def _outer(path: Path, middleware: Mapping[Path, Sequence[Middleware]]) -> list[Middleware]:
    """Return the middleware of a file's folders, the outermost first."""
    return [each for folder in reversed(path.parents) for each in middleware.get(folder, ())]
