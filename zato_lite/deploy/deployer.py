"""A folder of files kept deployed: each file's services are swapped in whole, or not at all."""

import asyncio
import errno
import logging
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from zato_lite.deploy.discovery import Failure, failure, is_service_file, with_folder_importable
from zato_lite.deploy.files import (
    FileStamp,
    Source,
    imports,
    in_order,
    looks,
    shown,
    sources,
)
from zato_lite.deploy.loader import Arrival, Review, Rules
from zato_lite.deploy.ownership import SERVICE, Claim, refusals
from zato_lite.errors import BadInputError, ForbiddenError, UnavailableError
from zato_lite.service.registry import Registry
from zato_lite.service.threads import WorkerPool

_log = logging.getLogger(__name__)

PATIENCE = 30.0
"""Seconds that a file may take to be imported, and its hooks to be called."""

ASIDE = 1.0
"""Seconds after which a file that is not imported yet is put aside, and others go on."""

DOUBT = 2.0
"""Seconds that services are kept whose file is there without them: it may be half written."""

_MOST_LOOKS = 40
_LONGEST_NAME = 200


class FileStatus(NamedTuple):
    """A file of the folder, the services that are served from it, and what is wrong with it.

    With both, an earlier version is served on, or all but what is wrong is as it declares.
    """

    source: str
    services: tuple[str, ...]
    failure: Failure | None


class Changes(NamedTuple):
    """What a refresh came to: files deployed, files that are gone, and files that failed."""

    deployed: tuple[Path, ...] = ()
    gone: tuple[Path, ...] = ()
    failed: tuple[Path, ...] = ()


class Deployer:
    """Keeps the registry as the folder is.

    Args:
        registry: where services are put.
        folder: where their files are.
        patience: seconds that a file may take to be imported.
        aside: seconds after which others go on meanwhile.
        doubt: seconds that services are kept which are no longer in a file that is being edited.
        accepts_uploads: files may be put into the folder through the server.
        reviews: what services are asked before they are deployed.
        taken: what is not to be had by any file, by who has it.

    Attributes:
        failures: what is wrong with files that could not be deployed.
        remarks: what is wrong with files that are deployed, by the file.
        on_change: called when services were swapped or files have failed, in that same turn of
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
        taken: Mapping[str, Iterable[Claim]] | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.accepts_uploads = accepts_uploads
        self.failures: dict[Path, Failure] = {}
        self.remarks: dict[Path, Failure] = {}
        self.on_change: list[Callable[[Changes], object]] = []
        self._registry = registry
        self._rules = Rules(registry, self.folder, patience, reviews)
        self._aside, self.doubt = aside, doubt
        self._taken = {owner: tuple(claims) for owner, claims in (taken or {}).items()}
        self._sources: dict[Path, Source] = {}
        self._done: dict[Path, FileStamp] = {}
        self._held: dict[Path, tuple[Claim, ...]] = {}
        self._arrivals: dict[Path, Arrival] = {}
        self._followers: set[Path] = set()
        self._hung: set[Path] = set()
        self._wanting: dict[Path, Claim] = {}
        self._certain: dict[Path, FileStamp] = {}
        self._timers: dict[Path, asyncio.TimerHandle] = {}
        self._errands: set[asyncio.Task[Changes]] = set()
        self._threads = WorkerPool(1)
        self._turn = asyncio.Lock()
        self._pause = 0.0
        self._is_closed = False

    async def deploy(self) -> Changes:
        """Deploy all that is in the folder, and wait for what takes long."""
        found: list[Changes] = []
        self.on_change.append(found.append)
        try:
            await self.refresh([*self._sources])
            await self._arrived()
        finally:
            self.on_change.remove(found.append)
        return _together(found)

    async def refresh(self, paths: Collection[Path] = (), *, pause: float = 0.0) -> Changes:
        """Deploy files that are new or have changed, and what imports them; undeploy lost ones.

        What is in flight finishes with the version that it began with. Files that nobody spoke
        of are noticed too; those that somebody spoke of are deployed even if they look the same.

        What takes long to be imported is put aside, and deployed when it has come.

        Args:
            paths: files that somebody has written to.
            pause: somebody edits the files now. One that is being written is waited for until it
                has not changed for so many seconds; one that changes again after that is left for
                the next refresh; one that has lost services gets time to bring them back.
        """
        async with self._turn:
            self._pause = pause or self._pause
            with_folder_importable(self.folder)
            wanted = {path for path in paths if is_service_file(path, self.folder)}
            seen = await self._settled(pause)
            if not seen and pause and not self.folder.is_dir():
                return Changes()
            return await self._refresh(wanted, seen, pause)

    async def upload(self, name: str, data: bytes) -> FileStatus:
        """Put a file into the folder, in one step, and deploy it; what has become of it.

        Raises:
            ForbiddenError: files are not accepted, or not under this name.
            BadInputError: no file can have this name.
            UnavailableError: it cannot be written now.
        """
        path = self.folder / name
        if not self.accepts_uploads:
            raise ForbiddenError("this server does not accept uploads")
        if path.parent != self.folder or not is_service_file(path, self.folder):
            raise ForbiddenError(f"not a name for a file of services: {shown(name)!r}")
        if shown(name) != name or "\0" in name or len(name.encode()) > _LONGEST_NAME:
            raise BadInputError(
                f"no name for a file: it is to be a text of at most {_LONGEST_NAME} bytes"
            )

        def put() -> None:
            part = path.with_name(f".{name}.part")
            try:
                part.write_bytes(data)
                part.replace(path)
            except OSError:
                part.unlink(missing_ok=True)
                raise

        try:
            await self._threads.run(put)
        except OSError as error:
            code = errno.errorcode.get(error.errno or 0, "")
            raise UnavailableError(f"{name} cannot be written: {error.strerror} {code}") from error
        await self.refresh([path])
        await self._arrived(path)
        return self._status_of(path)

    def status(self) -> list[FileStatus]:
        """Each file of the folder, in order."""
        known = {*self._sources, *self.failures, *self._held}
        return [self._status_of(path) for path in sorted(known)]

    def has_below(self, path: Path) -> bool:
        """Whether files of the folder are, or were, below this path."""
        inside = f"{path}{os.sep}"
        return any(str(known).startswith(inside) for known in self._sources.copy())

    def close(self) -> None:
        """Deploy nothing more; what is being imported is left alone."""
        self._is_closed = True
        for timer in self._timers.values():
            timer.cancel()
        for task in self._errands:
            task.cancel()
        for arrival in self._arrivals.values():
            arrival.withdraw()
        self._threads.close()
        self._rules.close()

    def _status_of(self, path: Path) -> FileStatus:
        wrong = self.failures.get(path) or self.remarks.get(path)
        names = sorted(claim.key for claim in self._held.get(path, ()) if claim.kind == SERVICE)
        return FileStatus(shown(path), tuple(names), wrong)

    # A refresh, step by step

    async def _settled(self, pause: float) -> dict[Path, FileStamp]:
        """How the files look once they look the same for a while; no longer than a few times."""
        seen = await self._threads.run(lambda: looks(self.folder))
        for _ in range(_MOST_LOOKS if pause else 0):
            before = seen
            await asyncio.sleep(pause)
            seen = await self._threads.run(lambda: looks(self.folder))
            if seen == before:
                break
        return seen

    async def _refresh(
        self, wanted: set[Path], seen: Mapping[Path, FileStamp], pause: float
    ) -> Changes:
        known = self._sources
        found = await self._threads.run(lambda: sources(self.folder, seen, known, wanted))
        gone = sorted(path for path in {*known, *self._held, *self.failures} if path not in found)
        lost = {path: known[path] for path in gone if path in known}
        for source in lost.values():
            sys.modules.pop(source.name, None)
        asked = {path for path in found if path in wanted or self._done.get(path) != seen[path]}
        self._sources = {**found, **lost}
        batch = _Batch(imports(self._sources), asked, fresh={*gone})
        for path in in_order(batch.imports):
            if path in found:
                await self._stage(path, batch)
        await self._stage_freed(batch, gone)
        if pause:
            self._hold_doubtful(batch)
        await self._settle_claims(batch, gone)
        changes = self._commit(batch, gone)
        if batch.again:
            changes = _together([changes, await self._refresh(batch.again, seen, pause)])
        return changes

    async def _stage(self, path: Path, batch: "_Batch") -> None:
        """Import a file if it is to be; it is offered, has failed, or is put aside."""
        others = batch.imports[path]
        is_wanted = path in batch.asked or path in self._followers or others & batch.fresh
        if not is_wanted:
            return
        self._followers.discard(path)
        if self._is_held_up(path, batch):
            self._followers.add(path)
            self._done[path] = self._sources[path].look
            return
        if hung := [other for other in sorted(others & self._hung) if other not in self._held]:
            self._hung.add(path)
            words = f"it imports {hung[0].name}, which does not come to an end"
            self._fail(path, failure(path, ImportError(words)), batch)
            return
        arrival = self._arriving(path)
        if not await self._in_time(arrival):
            self._done[path] = arrival.look
        elif arrival.step.cancelled():  # by a service that cancels all that it finds
            self._withdraw(path)
            self._errand(path)
        elif arrival.has_changed:
            self._withdraw(path)
            self._done.pop(path, None)
            self._later(path, self._aside)
        elif arrival.failure is not None:
            self._fail(path, arrival.failure, batch)
        else:
            batch.offered[path] = arrival
            batch.fresh.add(path)

    def _is_held_up(self, path: Path, batch: "_Batch") -> bool:
        """Whether it imports what takes long, or what waits for such a file itself."""
        late = {*self._arrivals} - {*batch.offered}
        waiting, seen = [] if path in self._arrivals or not late else [path], {path}
        while waiting:
            others = batch.imports[waiting.pop()]
            if others & late:
                return True
            waiting += (others & self._followers) - seen
            seen |= others
        return False

    async def _stage_freed(self, batch: "_Batch", gone: Collection[Path]) -> None:
        """Files that wanted what another one had: try again if that one lets go of it."""
        while True:
            freed = {claim for path in gone for claim in self._held.get(path, ())}
            for path, arrival in batch.offered.items():
                freed |= {*self._held.get(path, ())} - {*arrival.claims}
            again = [
                path
                for path, claim in self._wanting.items()
                if claim in freed and path not in batch.offered and path not in batch.asked
            ]
            if not again:
                return
            for path in again:
                batch.asked.add(path)
                if path in batch.imports and path not in gone:
                    await self._stage(path, batch)

    def _hold_doubtful(self, batch: "_Batch") -> None:
        """A file that has lost services may be half written: it gets time to bring them back."""
        there = {claim for arrival in batch.offered.values() for claim in arrival.claims}
        for path, arrival in list(batch.offered.items()):
            before = {claim for claim in self._held.get(path, ()) if claim.kind == SERVICE}
            if not before - there or self._certain.get(path) == arrival.look:
                continue
            if path in batch.offered:
                self._done[path] = arrival.look
                self._drop(path, batch)
                self._later(path, self.doubt, certain=arrival.look)

    async def _settle_claims(self, batch: "_Batch", gone: Collection[Path]) -> None:
        """Refuse what claims what others have; tell the rest that they are accepted."""
        is_settled = False
        while not is_settled:
            is_settled = True
            for path, refusal in self._refusals(batch, gone):
                self._fail(path, failure(path, refusal[0]), batch)
                self._wanting[path] = refusal[1]
                is_settled = False
            for path, arrival in list(batch.offered.items()):
                if batch.offered.get(path) is not arrival or not arrival.is_accepting:
                    continue
                arrival.accept()
                if not await self._in_time(arrival):
                    self._done[path] = arrival.look
                    self._drop(path, batch, is_aside=True)
                    is_settled = False
                elif arrival.failure is not None:
                    self._fail(path, arrival.failure, batch)
                    is_settled = False

    def _refusals(
        self, batch: "_Batch", gone: Collection[Path]
    ) -> Iterator[tuple[Path, tuple[Exception, Claim]]]:
        files = {str(path): claims for path, claims in self._held.items()}
        held: dict[str, list[Claim]] = {}
        for entry in self._registry.entries.values():
            if entry.is_internal or entry.source not in files:
                where = entry.source or entry.cls.__module__
                held.setdefault(where, []).append(Claim(SERVICE, entry.name))
        for owner, claims in (*self._taken.items(), *files.items()):
            held.setdefault(owner, []).extend(claims)
        for path in gone:
            held.pop(str(path), None)
        offered = {str(path): arrival.claims for path, arrival in batch.offered.items()}
        for owner, refusal in refusals(held, offered).items():
            yield Path(owner), (refusal.error, refusal.claim)

    def _commit(self, batch: "_Batch", gone: Sequence[Path]) -> Changes:
        """Swap all at once, and say so."""
        files = {str(path): arrival.entries for path, arrival in batch.offered.items()}
        if files or gone:
            self._registry.swap({**dict.fromkeys(map(str, gone), ()), **files})
        for path in gone:
            self._forget(path)
            _log.info("file undeployed", extra={"source": shown(path)})
        for path, arrival in batch.offered.items():
            self._clear(path)
            self._done[path] = arrival.look
            self._held[path] = arrival.claims
            del self._arrivals[path]
            names = [entry.name for entry in arrival.entries]
            _log.info("file deployed", extra={"source": shown(path), "services": names})
        changes = Changes(tuple(batch.offered), tuple(gone), tuple(batch.failed))
        if any(changes):
            self._announce(changes)
        return changes

    def _announce(self, changes: Changes) -> None:
        for listener in self.on_change:
            try:
                listener(changes)
            except Exception:  # noqa: BLE001 - what is deployed is deployed
                _log.exception("deployment not followed")

    # One file

    def _arriving(self, path: Path) -> Arrival:
        """The file's arrival: the one that is under way, unless the file has changed since."""
        source = self._sources[path]
        arrival = self._arrivals.get(path)
        if arrival is None or arrival.look != source.look:
            self._withdraw(path)
            self._hung.discard(path)
            arrival = Arrival(path, source.name, source.look, self._rules)
            self._arrivals[path] = arrival
        return arrival

    async def _in_time(self, arrival: Arrival) -> bool:
        """Whether its step ends within a moment; if not, it is come back to when it does.

        The more there are that take long, the less each is waited for.
        """
        step = arrival.step
        late = sum(1 for other in self._arrivals.values() if not other.step.done())
        await asyncio.wait([step], timeout=self._aside / max(1, late))
        if step.done():
            return True

        def come_back(_: object) -> None:
            if self._arrivals.get(arrival.path) is arrival:
                self._errand(arrival.path)

        step.add_done_callback(come_back)
        _log.warning("file takes long to be deployed", extra={"source": shown(arrival.path)})
        return False

    def _fail(self, path: Path, found: Failure, batch: "_Batch") -> None:
        arrival = self._arrivals.get(path)
        if arrival is not None and arrival.has_hung:
            self._hung.add(path)
        self._drop(path, batch)
        is_news = self.failures.get(path) != found
        self._clear(path)
        self._done[path] = self._sources[path].look
        self.failures[path] = found
        batch.failed[path] = None
        if is_news or path in batch.asked:
            _log.error(
                "file not deployed",
                extra={
                    "source": shown(path),
                    "reason": found.message,
                    "details": found.details,
                },
            )

    def _drop(self, path: Path, batch: "_Batch", *, is_aside: bool = False) -> None:
        """It is not to be in this batch, nor is what was imported because of it."""
        if not is_aside:
            self._withdraw(path)
        batch.offered.pop(path, None)
        for other in [it for it in batch.offered if path in batch.imports[it]]:
            if is_aside:
                self._followers.add(other)
            elif other in batch.asked:
                batch.again.add(other)
            self._drop(other, batch)

    def _withdraw(self, path: Path) -> None:
        arrival = self._arrivals.pop(path, None)
        if arrival is not None:
            arrival.withdraw()

    def _clear(self, path: Path) -> None:
        """Nothing is wrong with it as far as is known."""
        self.failures.pop(path, None)
        self._wanting.pop(path, None)
        self._certain.pop(path, None)
        if (timer := self._timers.pop(path, None)) is not None:
            timer.cancel()

    def _forget(self, path: Path) -> None:
        self._withdraw(path)
        self._clear(path)
        self.remarks.pop(path, None)
        for kept in (self._sources, self._done, self._held):
            kept.pop(path, None)
        self._followers.discard(path)
        self._hung.discard(path)

    # Later

    def _later(self, path: Path, delay: float, certain: FileStamp = None) -> None:
        """Look at the file again after a while."""

        def look_again() -> None:
            self._timers.pop(path, None)
            if certain is not None:
                self._certain[path] = certain
            self._errand(path)

        if self._is_closed:
            return
        if (before := self._timers.pop(path, None)) is not None:
            before.cancel()
        self._timers[path] = asyncio.get_running_loop().call_later(delay, look_again)

    def _errand(self, path: Path) -> None:
        """Look at the file again, in a task of its own, which no service can end for good."""

        def done(task: "asyncio.Task[Changes]") -> None:
            self._errands.discard(task)
            if task.cancelled():
                self._errand(path)
            elif (error := task.exception()) is not None:
                _log.error("deployment failed", exc_info=error)

        if not self._is_closed:
            task = asyncio.create_task(self.refresh([path], pause=self._pause))
            self._errands.add(task)
            task.add_done_callback(done)

    async def _arrived(self, path: Path | None = None) -> None:
        """Wait until this file, or all that takes long, is in or has been given up."""
        while path is None or path in self._arrivals or path in self._followers:
            steps = {it.step for it in self._arrivals.values() if not it.step.done()}
            if not (under_way := steps | self._errands):
                return
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)


class _Batch:
    """What is deployed together.

    Attributes:
        imports: which of the files each one imports.
        asked: files that are new, or have changed.
        fresh: files of which there is another version now.
        offered: those that are to be swapped in.
        failed: those that cannot be, in order.
        again: those that are to be tried once more without what was refused.
    """

    def __init__(
        self, imported: Mapping[Path, set[Path]], asked: set[Path], fresh: set[Path]
    ) -> None:
        self.imports, self.asked, self.fresh = imported, asked, fresh
        self.offered: dict[Path, Arrival] = {}
        self.failed: dict[Path, None] = {}
        self.again: set[Path] = set()


def _together(parts: Iterable[Changes]) -> Changes:
    """Several changes as one."""
    found: tuple[dict[Path, None], ...] = ({}, {}, {})
    for part in parts:
        for place, paths in enumerate(part):
            found[place].update(dict.fromkeys(paths))
    return Changes(*map(tuple, found))
