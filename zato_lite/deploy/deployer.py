"""Deployer: keeps the registry in line with a folder; each file is served whole or not at all."""

import asyncio
import errno
import logging
import os
import sys
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from functools import partial
from itertools import dropwhile
from pathlib import Path
from typing import Any, NamedTuple

from zato_lite.deploy.files import (
    FileStamp,
    is_service_file,
    make_importable,
    replace_file,
    shown,
    sources,
    stamps,
)
from zato_lite.deploy.loader import Candidate, Explain, Failure, Loader, Review, failure
from zato_lite.deploy.ownership import SERVICE, Claim
from zato_lite.deploy.plan import (
    FileState,
    Hold,
    Import,
    Refuse,
    Situation,
    Swap,
    imports_of,
    in_order,
    plan,
)
from zato_lite.deploy.resources import Resources
from zato_lite.deploy.swapper import Swapper, Versions
from zato_lite.errors import BadInputError, ForbiddenError, UnavailableError
from zato_lite.service.attribute_dict import Config
from zato_lite.service.registry import Registry
from zato_lite.service.threads import WorkerPool

_log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds after which an import, or the hooks of a file, are given up."""

ASIDE = 1.0
"""Seconds after which other files are deployed while one is still being imported."""

DOUBT = 2.0
"""Seconds that a version which has lost services is held back: it may be half written."""

REOPEN_S = 1.0
"""Seconds after which a resource is opened again that has ended by a failure."""

_MAX_SCANS = 40
"""Scans after which a folder is deployed although it has not stopped changing."""

_MAX_NAME_BYTES = 200


class FileStatus(NamedTuple):
    """A file, the services that are served from it, and its error.

    With both, an earlier version is served, or a declared schedule of it is wrong.
    """

    source: str
    services: tuple[str, ...]
    failure: Failure | None


class Changes(NamedTuple):
    """The result of a refresh: files deployed, files that are gone, files that failed."""

    deployed: tuple[Path, ...] = ()
    gone: tuple[Path, ...] = ()
    failed: tuple[Path, ...] = ()


class Deployer:
    """One worker that carries out deployment plans.

    Args:
        registry: receives the services.
        folder: the files' folder.
        patience: seconds that an import, or the hooks of a file, may take.
        aside: seconds after which other files are deployed meanwhile.
        doubt: seconds that a version of a file being edited is held back if it lost services.
        accepts_uploads: files may be written to the folder through the server.
        reviews: called with each service before it is deployed.
        explain: returns a sentence about an error of an import, or an empty text.
        taken: claims that no file may have, by their owner.
        config: returns the settings for resources.
        opens_resources: False to find faults of resources without opening any.

    Attributes:
        resources: the resources of the files.
        failures: errors of files that are not deployed, or of which an earlier version is.
        remarks: errors in deployed files, such as wrong declared schedules.
        on_change: called when files have failed, or services were swapped, in that same turn of
            the loop.
    """

    def __init__(
        self,
        registry: Registry,
        folder: Path,
        *,
        patience: float = PATIENCE,
        aside: float = ASIDE,
        doubt: float = DOUBT,
        accepts_uploads: bool = False,
        reviews: Sequence[Review] = (),
        explain: Explain | None = None,
        taken: Mapping[str, Iterable[Claim]] | None = None,
        config: Callable[[], Config] = lambda: Config({}),
        opens_resources: bool = True,
    ) -> None:
        self.folder = folder.resolve()
        self.accepts_uploads = accepts_uploads
        self.doubt = doubt
        self.failures: dict[Path, Failure] = {}
        self.remarks: dict[Path, Failure] = {}
        self.on_change: list[Callable[[Changes], object]] = []
        self._registry = registry
        self._loader = Loader(registry, self.folder, patience, reviews, explain)
        self._aside = aside
        self.resources = Resources(
            registry,
            self.folder,
            config,
            opens=opens_resources,
            patience=patience,
            on_failure=lambda: self._later(REOPEN_S, work=self.reopen),
        )
        self._swapper = Swapper(registry, self.resources)
        self._taken = {owner: tuple(claims) for owner, claims in (taken or {}).items()}
        self._files: dict[Path, FileState] = {}
        self._loading: dict[Path, Candidate] = {}
        self._ready: dict[Path, Candidate] = {}
        self._failed: dict[Path, int] = {}
        self._errands: set[asyncio.Task[Changes]] = set()
        self._threads = WorkerPool(1)
        self._turn = asyncio.Lock()
        self._pause = 0.0
        self._is_closed = False

    async def deploy(self) -> Changes:
        """Deploy the whole folder, and wait for imports that take long."""
        found: list[Changes] = []
        self.on_change.append(found.append)
        try:
            await self.refresh([*self._files])
            await self.settled()
        finally:
            self.on_change.remove(found.append)
        return Changes(*(_distinct(parts) for parts in zip(*found, strict=True)))

    async def refresh(self, paths: Collection[Path] = (), *, pause: float = 0.0) -> Changes:
        """Scan the whole folder and bring the services in line with it.

        Invocations in flight finish with the version that they began with. A file that takes
        long to import is left aside, and deployed when it has been imported.

        Args:
            paths: files that are deployed again even if they have not changed.
            pause: the files are being edited: wait until none has changed for this many seconds,
                and hold back versions that have lost services.
        """
        async with self._turn:
            self._failed.clear()
            self._pause = pause or self._pause
            make_importable(self.folder)
            seen = await self._settled_stamps(pause)
            if not seen and pause and not self.folder.is_dir():
                return Changes()  # the watcher waits for the folder to come back
            await self._scan(seen, {path for path in paths if is_service_file(path, self.folder)})
            return await self._converge(is_cautious=bool(pause))

    def require_uploads(self) -> None:
        """Check that uploads are accepted.

        Raises:
            ForbiddenError: they are not.
        """
        if not self.accepts_uploads:
            raise ForbiddenError(
                "this server does not accept uploads; set accepts_uploads = true under [services]"
            )

    async def upload(self, name: str, data: bytes) -> FileStatus:
        """Write a file into the folder, in one step, and deploy it.

        Raises:
            ForbiddenError: uploads are not accepted, or not under this name.
            BadInputError: the name is not valid.
            UnavailableError: the file cannot be written now.
        """
        path = self.folder / name
        self.require_uploads()
        if path.parent != self.folder or not is_service_file(path, self.folder):
            raise ForbiddenError(f"not a name of a service file: {shown(name)!r}")
        if not name.isprintable() or len(name.encode()) > _MAX_NAME_BYTES:
            raise BadInputError(
                f"not a valid file name: {ascii(name)[:_MAX_NAME_BYTES]}; use UTF-8 text without "
                f"control characters, of at most {_MAX_NAME_BYTES} bytes"
            )
        try:
            await self._threads.run(lambda: replace_file(path, data))
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, "")
            raise UnavailableError(f"{name} cannot be written: {error.strerror} {code}") from error
        await self.refresh([path])
        await self.settled(path)
        return self._status_of(path)

    async def settled(self, path: Path | None = None) -> None:
        """Wait until a file, or each file, is deployed or refused."""
        while path is None or self._is_pending(path):
            steps = {it.step for it in self._loading.values() if not it.step.done()}
            if not steps | self._errands:
                await asyncio.sleep(0)  # a step may have ended just now: its errand begins next
                if not self._errands:
                    return
            await asyncio.wait(steps | self._errands, return_when=asyncio.FIRST_COMPLETED)

    async def reopen(self) -> Changes:
        """Open the resources that are not open, or not with the present settings."""
        async with self._turn:
            before = self.resources.faults
            changes = await self._swap(Swap((), ()))
            if any(changes) or self.resources.faults != before:
                self._announce(changes)
            return changes

    def reopen_soon(self) -> None:
        """Do that in a task."""
        self._later(0, work=self.reopen)

    def status(self) -> list[FileStatus]:
        """Return the status of each file of the folder, in order."""
        return [self._status_of(path) for path in sorted(self._files)]

    def has_below(self, path: Path) -> bool:
        """Return True if files of the folder are, or were, below this path."""
        inside = f"{path}{os.sep}"
        return any(str(known).startswith(inside) for known in self._files.copy())

    def close(self) -> None:
        """Stop deploying; threads of imports under way are abandoned."""
        self._is_closed = True
        for task in self._errands:
            task.cancel()
        for candidate in self._loading.values():
            candidate.withdraw()
        self._threads.close()
        self._loader.close()

    def _status_of(self, path: Path) -> FileStatus:
        state = self._files.get(path)
        claimed = [it.key for it in state.claims if it.kind == SERVICE] if state else ()
        names = sorted(name for name in claimed if name in self._registry.entries)
        error = self.failures.get(path) or self.resources.faults.get(path)
        error = error or self.remarks.get(path)
        return FileStatus(shown(path), tuple(names), error)

    def _is_pending(self, path: Path) -> bool:
        state = self._files.get(path)
        return path in self._loading or bool(state and (state.is_asked or state.is_stale))

    # Scanning

    async def _settled_stamps(self, pause: float) -> dict[Path, FileStamp]:
        seen = await self._threads.run(lambda: stamps(self.folder))
        for _ in range(_MAX_SCANS if pause else 0):
            before = seen
            await asyncio.sleep(pause)
            seen = await self._threads.run(lambda: stamps(self.folder))
            if seen == before:
                break
        return seen

    async def _scan(self, seen: Mapping[Path, FileStamp], named: Collection[Path]) -> None:
        known = {path: state.source for path, state in self._files.items()}
        found = await self._threads.run(lambda: sources(self.folder, seen, known, named))
        imports = imports_of({**known, **found})
        for path, source in found.items():
            state = self._files.get(path, FileState(source))
            self._files[path] = state._replace(
                source=source,
                imports=imports[path],
                is_gone=False,
                is_asked=state.is_asked or path in named or state.tried != source.stamp,
                is_hung=state.is_hung and state.source.stamp == source.stamp,
            )
        self._files = {path: self._files[path] for path in in_order(imports)}
        gone = [path for path in self._files if path not in found]
        for path in gone:
            self._update(path, is_gone=True)
            sys.modules.pop(self._files[path].source.name, None)
        for path, candidate in {**self._loading, **self._ready}.items():
            state = self._files[path]
            if state.is_gone or state.source.stamp != candidate.source.stamp:
                self._drop(path)
            elif path in self._loading and candidate.step.done():
                self._collect(candidate)
        for path in gone:
            self._outdate_importers(path)

    # Carrying out a plan

    async def _converge(self, *, is_cautious: bool) -> Changes:
        done = Changes()
        while not any(done) and (actions := plan(self._situation(is_cautious=is_cautious))):
            for action in actions:
                if isinstance(action, Swap):
                    done = await self._swap(action)
                elif not await self._carry_out(action):
                    break  # the rest of the plan may have to wait; plan again
        changes = Changes(done.deployed, done.gone, tuple(self._failed))
        if any(changes):
            self._announce(changes)
        return changes

    def _situation(self, *, is_cautious: bool) -> Situation:
        taken: dict[str, Sequence[Claim]] = dict(self._taken)
        files = {str(path) for path in self._files}
        for entry in self._registry.entries.values():
            if entry.is_internal or entry.source not in files:
                owner = entry.source or entry.cls.__module__
                taken[owner] = (*taken.get(owner, ()), Claim(SERVICE, entry.name))
        offers = {path: candidate.claims for path, candidate in self._ready.items()}
        return Situation(
            self._files,
            offers,
            self._loading.keys(),
            taken,
            self._failed,
            is_cautious,
        )

    async def _carry_out(self, action: Import | Refuse | Hold) -> bool:
        """Carry an action out; return False if it has not come to an end."""
        path, state = action.path, self._files[action.path]
        match action:
            case Import():
                return (action.if_stale and not state.is_stale) or await self._import(path)
            case Refuse(_, error, wanted, is_hung):
                self._fail(path, failure(path, error), wanted, is_hung=is_hung)
            case Hold():
                self._drop(path)
                self._update(path, is_asked=False, tried=state.source.stamp)
                self._later(self.doubt, lambda: self._confirm(path, state.source.stamp))
        return True

    async def _import(self, path: Path) -> bool:
        candidate = self._loader.load(path, self._files[path].source)
        self._loading[path] = candidate
        self._update(path, is_stale=False, is_hung=False)
        if is_in_time := await self._is_in_time(candidate):
            self._collect(candidate)
        return is_in_time

    async def _is_in_time(self, candidate: Candidate) -> bool:
        """Wait a moment for the candidate's step; the more are late, the shorter the moment."""
        step = candidate.step
        late = sum(1 for other in self._loading.values() if not other.step.done())
        try:
            await asyncio.wait([step], timeout=self._aside / max(1, late))
        finally:  # this task may be cancelled too; the step's end must be noticed all the same
            if not step.done():
                step.add_done_callback(partial(self._step_ended, candidate))
                extra = {"source": shown(candidate.path)}
                _log.warning("file import or hook delayed", extra=extra)
        return step.done()

    def _step_ended(self, candidate: Candidate, _: object) -> None:
        if self._loading.get(candidate.path) is candidate:
            self._later(0)

    def _collect(self, candidate: Candidate) -> None:
        """Make a candidate whose step has ended ready to be served, or report its failure."""
        path = candidate.path
        if candidate.step.cancelled() or candidate.has_changed:
            # A service cancelled all tasks, or the file is being written: import it again later.
            self._drop(path)
            self._update(path, is_asked=False, tried=None)
            self._later(self._aside if candidate.has_changed else 0)
        elif candidate.failure is not None:
            self._fail(path, candidate.failure, is_hung=candidate.is_hung)
        else:
            if self._loading.pop(path, None) is not None:
                self._outdate_importers(path)
            self._ready[path] = candidate

    async def _swap(self, action: Swap) -> Changes:
        """Call the hooks and swap; return without a swap if a file turned out not to be ready."""
        for path in action.deployed:
            candidate = self._ready[path]
            if not candidate.has_hooks:
                continue
            candidate.call_hooks()
            if await self._is_in_time(candidate):
                self._collect(candidate)
            else:
                self._drop(path, is_late=True)
            if path not in self._ready:
                return Changes()
        ready = {path: self._ready[path] for path in action.deployed}
        versions = Versions(ready, action.removed, self._files)
        if await self._waits_for_resources(versions):
            return Changes()
        affected = self._swapper.commit(versions, self._loading.values())
        self._finish(action)
        others = (path for path in affected if path not in ready)
        return Changes((*action.deployed, *others), action.removed)

    async def _waits_for_resources(self, versions: Versions) -> bool:
        """Open resources; return True if files were left aside since theirs take long."""
        late = await self._swapper.open(versions, self._aside)
        for candidate in late.waiting:
            candidate.wait_for(late.openings)
            candidate.step.add_done_callback(partial(self._step_ended, candidate))
            if candidate.path in self._ready:  # not left aside with a file that it imports
                self._drop(candidate.path, is_late=True)
        if not late.waiting:
            for opening in late.openings:
                opening.add_done_callback(lambda _: self.reopen_soon())
        return bool(late.waiting)

    def _finish(self, action: Swap) -> None:
        for path in action.removed:
            del self._files[path]
            self.remarks.pop(path, None)
            self.failures.pop(path, None)
            _log.info("file undeployed", extra={"source": shown(path)})
        for path in action.deployed:
            candidate = self._ready.pop(path)
            source, claims = candidate.source, candidate.claims
            imports = self._files[path].imports
            self._files[path] = FileState(
                source, imports, is_asked=False, tried=source.stamp, claims=claims
            )
            self.failures.pop(path, None)
            self._failed.pop(path, None)
            names = [it.name for it in candidate.entries if it.name in self._registry.entries]
            _log.info("file deployed", extra={"source": shown(path), "services": names})

    def _announce(self, changes: Changes) -> None:
        for listener in self.on_change:
            try:
                listener(changes)
            except Exception:  # noqa: BLE001 - the services are swapped; other listeners must hear
                _log.exception("deployment listener failed")

    # One file

    def _fail(
        self, path: Path, found: Failure, wanted: Claim | None = None, *, is_hung: bool = False
    ) -> None:
        self._drop(path)
        state = self._files[path]
        if state.is_asked or self.failures.get(path) != found:
            extra = {"source": shown(path), "reason": found.message, "details": found.details}
            _log.error("file not deployed", extra=extra)
        self.failures[path] = found
        self._failed[path] = self._failed.get(path, 0) + 1
        self._update(
            path,
            is_asked=False,
            is_stale=False,
            tried=state.source.stamp,
            is_hung=is_hung,
            wanted=wanted,
            confirmed=None,
        )

    def _drop(self, path: Path, *, is_late: bool = False) -> None:
        """Take a candidate out, and candidates that were imported on top of it.

        Of these, files that were asked for themselves are still due, and imported again. A late
        candidate is not withdrawn, and files that import it wait for it.
        """
        candidate = self._ready.pop(path, None) or self._loading.pop(path, None)
        if candidate is not None and is_late:
            self._loading[path] = candidate
        elif candidate is not None:
            candidate.withdraw()
        for other in self._importers(path):
            if other in self._ready:
                self._update(other, is_stale=is_late)
                self._drop(other)

    def _outdate_importers(self, path: Path) -> None:
        for other in self._importers(path):
            if other not in self._ready:
                self._update(other, is_stale=True)

    def _importers(self, path: Path) -> list[Path]:
        # In a circle of imports, only those that come later: otherwise planning would not end.
        later = dropwhile(lambda other: other != path, self._files)
        return [other for other in later if path in self._files[other].imports]

    def _confirm(self, path: Path, stamp: FileStamp) -> None:
        """Accept that the version has lost services, if it is still the one on disk."""
        state = self._files.get(path)
        if state is not None and state.tried == stamp:
            self._update(path, is_asked=True, confirmed=stamp)

    def _update(self, path: Path, **changes: Any) -> None:
        self._files[path] = self._files[path]._replace(**changes)

    # Later

    def _later(
        self,
        delay: float,
        prepare: Callable[[], object] = lambda: None,
        work: Callable[[], Coroutine[Any, Any, Changes]] | None = None,
    ) -> None:
        """Refresh after a delay, in a task that is made again if a service cancels it."""

        def start() -> None:
            if not self._is_closed:
                prepare()
                task = asyncio.create_task(work() if work else self.refresh(pause=self._pause))
                self._errands.add(task)
                task.add_done_callback(ended)

        def ended(task: "asyncio.Task[Changes]") -> None:
            self._errands.discard(task)
            if task.cancelled():
                start()
            elif (error := task.exception()) is not None:
                _log.error("deployment failed", exc_info=error)

        if delay:
            asyncio.get_running_loop().call_later(delay, start)
        else:
            start()


def _distinct(parts: Iterable[tuple[Path, ...]]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(path for part in parts for path in part))
