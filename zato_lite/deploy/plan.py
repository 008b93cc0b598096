"""Deployment plan: the next actions that bring the served services in line with a folder. Pure."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import NamedTuple

from zato_lite.deploy.files import FileStamp, Source
from zato_lite.deploy.ownership import SERVICE, Claim, refusals

_MAX_FAILURES = 2
"""Failures after which a refused file is not imported again before the next scan.

The owner of the claim that it wants may be refused too and keep it, which could repeat for ever.
"""


class FileState(NamedTuple):
    """A file of the folder: its version on disk, and its services as they are served.

    Attributes:
        source: the version on disk, or the last one if the file is gone.
        imports: files of the folder that it imports.
        is_asked: the file is new, has changed, or was named by a caller.
        is_stale: a file that it imports has a new version.
        tried: the version that was deployed, refused or held back last.
        claims: all that the served version owns.
        is_hung: its import did not finish, or waits for one that did not.
        wanted: the claim of another owner for which it was refused.
        confirmed: the version that may lose services in spite of caution.
    """

    source: Source
    imports: frozenset[Path] = frozenset()
    is_gone: bool = False
    is_asked: bool = True
    is_stale: bool = False
    tried: FileStamp = None
    claims: tuple[Claim, ...] = ()
    is_hung: bool = False
    wanted: Claim | None = None
    confirmed: FileStamp = None


class Situation(NamedTuple):
    """All that a plan depends on.

    Attributes:
        files: each file of the folder after those that it imports; those included that are gone
            and still served.
        offers: claims of new versions that are imported and not yet served, in that order.
        loading: files whose import or hooks are under way.
        taken: claims of owners that are not files: built-in services, settings.
        failed: files that have failed since the last scan, and how many times.
        is_cautious: files are being edited; one that has lost services may be half written.
    """

    files: Mapping[Path, FileState]
    offers: Mapping[Path, Sequence[Claim]] = {}
    loading: AbstractSet[Path] = frozenset()
    taken: Mapping[str, Sequence[Claim]] = {}
    failed: Mapping[Path, int] = {}
    is_cautious: bool = False


class Import(NamedTuple):
    """Import a new version.

    With ``if_stale``, only if by then a file that it imports has a new version.
    """

    path: Path
    if_stale: bool = False


class Refuse(NamedTuple):
    """Report an error; the version that is served stays, as do files that import it."""

    path: Path
    error: Exception
    wanted: Claim | None = None
    is_hung: bool = False


class Hold(NamedTuple):
    """Hold back a version that has lost services: the rest of it may be about to be written."""

    path: Path


class Swap(NamedTuple):
    """Serve the new versions and remove the services of lost files, in one step.

    Removal is a part of it, so that a name can move from a deleted file to a new one.
    """

    deployed: tuple[Path, ...]
    removed: tuple[Path, ...]


Action = Import | Refuse | Hold | Swap


def plan(now: Situation) -> Sequence[Action]:
    """Return the next actions, of one kind: imports first, then refusals, and last the swap.

    Imports reveal what files claim, so it is asked again until it returns nothing.
    """
    return _imports(now) or _holds(now) or _refusals(now) or _swap(now)


def imports_of(files: Mapping[Path, Source]) -> dict[Path, frozenset[Path]]:
    """Return the files of the folder that each file imports."""
    paths = {source.name: path for path, source in files.items()}
    return {
        path: frozenset(paths[name] for name in source.imports if name in paths) - {path}
        for path, source in files.items()
    }


def in_order(imported: Mapping[Path, AbstractSet[Path]]) -> list[Path]:
    """Return files after those that they import; in a circle, by name."""
    ordered: dict[Path, None] = {}

    def add(path: Path, importers: frozenset[Path]) -> None:
        if path not in ordered and path not in importers:
            for other in sorted(imported[path]):
                add(other, importers | {path})
            ordered[path] = None

    for path in sorted(imported):
        add(path, frozenset())
    return list(ordered)


def _imports(now: Situation) -> list[Import | Refuse]:
    idle = {
        path
        for path, state in now.files.items()
        if not state.is_gone and path not in now.offers and path not in now.loading
    }
    certain = {path for path in idle if now.files[path].is_asked or now.files[path].is_stale}
    owned = _owned(now)
    certain |= {
        path
        for path in idle
        if (wanted := now.files[path].wanted)
        and wanted not in owned
        and now.failed.get(path, 0) < _MAX_FAILURES
    }
    if not certain:
        return []
    imported = {path: state.imports for path, state in now.files.items()}
    due = _with_importers(certain, idle, imported)
    due -= _with_importers(now.loading, due, imported)  # they wait for what is under way
    hung = {path for path, state in now.files.items() if state.is_hung and not state.claims}
    found: list[Import | Refuse] = []
    for path in now.files:
        if path not in due:
            continue
        if path in certain and (others := sorted(imported[path] & hung - due)):
            text = f"it imports {others[0].name}, whose import did not finish"
            found.append(Refuse(path, ImportError(text), is_hung=True))
            due.discard(path)
            hung |= {path} if not now.files[path].claims else set()
        else:
            found.append(Import(path, if_stale=path not in certain))
    return found


def _owned(now: Situation) -> set[Claim]:
    """Return all claims that will have an owner if the offers are swapped in."""
    owned = {claim for claims in (*now.taken.values(), *now.offers.values()) for claim in claims}
    for path, state in now.files.items():
        if not state.is_gone and path not in now.offers:
            owned.update(state.claims)
    return owned


def _with_importers(
    paths: AbstractSet[Path], among: AbstractSet[Path], imported: Mapping[Path, AbstractSet[Path]]
) -> set[Path]:
    """Return the paths and all others that import them, directly or not."""
    found = {*paths}
    while more := {path for path in among - found if imported[path] & found}:
        found |= more
    return found


def _holds(now: Situation) -> list[Hold]:
    if not now.is_cautious:
        return []
    offered = {claim for claims in now.offers.values() for claim in claims}
    return [
        Hold(path)
        for path in now.offers
        if (state := now.files[path]).confirmed != state.source.stamp
        and any(it.kind == SERVICE and it not in offered for it in state.claims)
    ]


def _refusals(now: Situation) -> list[Refuse]:
    held = {str(path): state.claims for path, state in now.files.items() if not state.is_gone}
    offered = {str(path): claims for path, claims in now.offers.items()}
    refused = refusals({**now.taken, **held}, offered)
    return [Refuse(Path(owner), why.error, why.claim) for owner, why in refused.items()]


def _swap(now: Situation) -> list[Swap]:
    removed = tuple(sorted(path for path, state in now.files.items() if state.is_gone))
    return [Swap(tuple(now.offers), removed)] if now.offers or removed else []
