"""One version of a file on its way in: imported in a thread of its own, so it can be given up."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from zato_lite.deploy.discovery import Failure, Loading, failure, services_in
from zato_lite.deploy.files import FileStamp, look, shown
from zato_lite.deploy.ownership import SERVICE, Claim, unique
from zato_lite.service.base import Service
from zato_lite.service.context import service_logger
from zato_lite.service.entry import Entry
from zato_lite.service.registry import Registry
from zato_lite.service.threads import WorkerPool

T = TypeVar("T")

Review = Callable[[Entry], Iterable[Claim]]
"""What a service claims for itself alone; raises if what it declares is wrong."""


class Rules:
    """What holds for every file that comes in.

    Attributes:
        folder: nothing from outside of it is deployed.
        patience: seconds that an import, or the hooks of a file, may take.
        reviews: what each service is asked before it is deployed.
    """

    def __init__(
        self, registry: Registry, folder: Path, patience: float, reviews: Sequence[Review]
    ) -> None:
        self.registry, self.folder = registry, folder
        self.patience, self.reviews = patience, reviews
        self._idle: list[WorkerPool] = []

    async def run(self, work: Callable[[], T]) -> T:
        """Do it in a thread, and use that again, unless it does not come back in time.

        Raises:
            TimeoutError: it did not; the thread is left alone.
        """
        pool = self._idle.pop() if self._idle else WorkerPool(1)
        async with asyncio.timeout(self.patience):
            result = await pool.run(work)
        self._idle.append(pool)
        return result

    def close(self) -> None:
        """Let idle threads go."""
        while self._idle:
            self._idle.pop().close()


class Arrival:
    """A version of a file that is imported, asked what it claims, and told that it is accepted.

    Each of the two steps is a task that never raises; what the file does wrong is its result.

    Attributes:
        look: which version it is.
        entries, claims: its services and what they claim, once it is imported.
        step: what is under way.
        failure: what the file did wrong.
        has_hung: it was given up. has_changed: the file was written to meanwhile.
    """

    def __init__(self, path: Path, name: str, look: FileStamp, rules: Rules) -> None:
        self.path, self.look = path, look
        self.entries: Sequence[Entry] = ()
        self.claims: tuple[Claim, ...] = ()
        self.failure: Failure | None = None
        self.has_hung = self.has_changed = False
        self._name, self._rules = name, rules
        self._loading: Loading | None = None
        self._is_withdrawn = False
        self._has_hooks = False
        self.step = asyncio.create_task(self._run(self._load, "imported"))

    @property
    def is_accepting(self) -> bool:
        """It is imported and has something to do when it is accepted."""
        return self._has_hooks

    def accept(self) -> None:
        """Tell the services that they are about to be served."""
        self._has_hooks = False
        self.step = asyncio.create_task(self._run(self._tell, "told of its deployment"))

    def withdraw(self) -> None:
        """It is not to be: others import what was there before."""
        self._is_withdrawn = True
        if self._loading is not None:
            self._loading.withdraw()
        self.step.cancel()

    async def _run(self, work: Callable[[], None], done: str) -> None:
        """Let the work be done in a thread; a thread that does not come back is left alone."""
        try:
            self.failure = await self._rules.run(lambda: self._contained(work))
        except TimeoutError:
            self.has_hung = True
            words = f"{self.path.name} was not {done} within {self._rules.patience:g} s"
            self.failure = failure(self.path, TimeoutError(words))
        except Exception as error:  # noqa: BLE001 - no thread is to be had
            self.failure = failure(self.path, error)

    def _contained(self, work: Callable[[], None]) -> Failure | None:
        """What the file did wrong: whatever it raises is its own, even an exit."""
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - nothing of it is to reach the loop
            return failure(self.path, error)
        finally:
            self.has_changed = look(self.path) != self.look
        return None

    def _load(self) -> None:
        path, rules = self.path, self._rules
        source = str(path)
        if shown(path.relative_to(rules.folder)) != str(path.relative_to(rules.folder)):
            raise ImportError(f"{shown(path.name)} is not called by a text in UTF-8")
        if not path.resolve().is_relative_to(rules.folder):
            raise PermissionError(f"{path} leads out of the folder")
        if self._is_withdrawn:
            return
        self._loading = loading = Loading(path, self._name)
        try:
            loading.run()
            entries = rules.registry.make_entries(source, services_in(loading.module))
            claims = [claim for entry in entries for claim in self._claims_of(entry)]
            self.claims = unique(claims, source)
            self.entries = entries
            self._has_hooks = any(_has_hook(entry) for entry in entries)
        except BaseException:
            loading.withdraw()
            raise

    def _claims_of(self, entry: Entry) -> Iterable[Claim]:
        yield Claim(SERVICE, entry.name)
        for review in self._rules.reviews:
            yield from review(entry)

    def _tell(self) -> None:
        for entry in self.entries:
            if _has_hook(entry):
                entry.cls.after_add_to_store(service_logger(entry.name))


def _has_hook(entry: Entry) -> bool:
    own: object = getattr(entry.cls.after_add_to_store, "__func__", None)
    return own is not getattr(Service.after_add_to_store, "__func__", None)
