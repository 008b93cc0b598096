"""Jobs file: the definitions of a project, applied at the start and when the file changes."""

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from zato_lite.builtin import enmasse
from zato_lite.builtin.deadman import watch_over
from zato_lite.builtin.definition import allows_missing
from zato_lite.builtin.documents import Item
from zato_lite.builtin.job_checks import missing_names, surroundings
from zato_lite.builtin.permissions import require_callbacks
from zato_lite.clock import Clock
from zato_lite.errors import (
    BadInputError,
    ConfigError,
    FieldError,
    JobExistsError,
    JobNotFoundError,
)
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.message import SYSTEM, SYSTEM_PRINCIPAL
from zato_lite.service.registry import Registry
from zato_lite.store.rows import JobRow
from zato_lite.timetable.job import Instant, Job

_POLL_S = 0.2
"""Seconds between two looks at the file; it is read when it stayed the same for that time."""

_ATTEMPTS = 5
"""Attempts to apply the file while other processes change the same jobs."""

_log = logging.getLogger(__name__)

Stamp = tuple[int, int, int] | None


class Mistake(NamedTuple):
    """A mistake in the file: the line of its job (0: the document), and a sentence."""

    line: int
    text: str


class FilePlan(NamedTuple):
    """Changes that applying the file makes.

    Attributes:
        creates: jobs to create. edits: new definitions of existing jobs, by id.
        mistakes: of the jobs that are left out.
        differences: sentences about parts of the file without effect.
    """

    creates: Sequence[Job]
    edits: Mapping[int, Job]
    mistakes: Sequence[Mistake]
    differences: Sequence[str]


def plan(
    definitions: enmasse.Definitions,
    rows: Sequence[JobRow],
    services: Registry,
    calendars: Mapping[str, object],
    now: Instant,
) -> FilePlan:
    """Return what applying the definitions to the existing jobs changes."""

    def missing(definition: Mapping[str, Any]) -> Iterator[FieldError]:
        early = allows_missing(definition)
        return missing_names(definition, services, calendars, allows_missing=early)

    existing = {row.job.name: row for row in rows}
    jobs = {name: row.job for name, row in existing.items()}
    found = enmasse.compare(jobs, definitions.items, now, SYSTEM_PRINCIPAL, more_mistakes=missing)
    wrong = [*definitions.mistakes, *found.mistakes]
    good: dict[str, Job] = {}
    changed = {job.name: job for job in found.found.creates}
    changed |= {update.after.name: update.after for update in found.found.updates}
    for name, item in found.items.items():
        job = changed.get(name) or jobs[name]
        early = allows_missing(item.value)
        errors = surroundings(job, services, calendars, allows_missing=early)
        wrong += enmasse.located(errors, item, name)
        if not errors:
            good[name] = job
    creates = [job for job in found.found.creates if job.name in good]
    updates = [update for update in found.found.updates if update.after.name in good]
    edits = {existing[update.before.name].id: update.after for update in updates}
    mistakes = sorted(_mistake(each.message, definitions.lines) for each in wrong)
    others = {key: n for key, n in definitions.others.items() if key not in definitions.sections}
    return FilePlan(creates, edits, mistakes, [*enmasse.differences(others)])


def _mistake(text: str, starts: Sequence[int]) -> Mistake:
    """Return the mistake of an error, whose text begins with its line."""
    head, _, _ = text.removeprefix("line ").partition(":")
    line = int(head) if head.isdigit() else 0
    return Mistake(max((start for start in starts if start <= line), default=0), text)


class OtherSections(Protocol):
    """Applies the other sections of the file."""

    names: frozenset[str]

    def plan(self, items: Mapping[str, Sequence[Item]]) -> Any:
        """Return their effect, with ``errors`` and ``differences``."""
        ...

    async def apply(self, plan: Any) -> None:
        """Bring the server in line with a plan."""
        ...


class JobsFile:
    """The jobs file of a project.

    Attributes:
        mistakes: those of the file as it was applied last.
    """

    def __init__(
        self,
        path: Path,
        jobs: JobCommands,
        calendars: Calendars,
        *,
        services: Registry,
        clock: Clock,
        others: OtherSections | None = None,
    ) -> None:
        self.path, self._others = path, others
        self.mistakes: Sequence[str] = ()
        self._jobs, self._calendars = jobs, calendars
        self._services, self._clock = services, clock
        self._stamp: Stamp = None
        self._wrong: frozenset[int] = frozenset()
        self._lock = asyncio.Lock()

    async def apply(self, environ: Mapping[str, str] = os.environ, *, refuses: bool) -> None:
        """Bring the jobs in line with the file; those with mistakes stay as they are.

        Raises:
            ConfigError: ``refuses``, and the file has mistakes; nothing is changed.
        """
        async with self._lock:
            await self._apply(environ, refuses=refuses, lines=None)

    async def apply_wrong(self, environ: Mapping[str, str] = os.environ) -> None:
        """Try again those jobs of the file that had mistakes."""
        async with self._lock:
            if self.mistakes:
                await self._apply(environ, refuses=False, lines=self._wrong)

    async def follow(self) -> None:
        """Apply the file whenever it has changed."""
        while True:
            stamp = _stamp_of(self.path)
            await asyncio.sleep(_POLL_S)
            if stamp != self._stamp and stamp == _stamp_of(self.path):
                await self.apply(refuses=False)

    async def _apply(
        self, environ: Mapping[str, str], *, refuses: bool, lines: frozenset[int] | None
    ) -> None:
        self._stamp = _stamp_of(self.path)
        try:
            text = await asyncio.to_thread(_read, self.path)
            definitions = enmasse.right_definitions_of(text, environ)
        except (BadInputError, OSError, UnicodeDecodeError) as error:
            is_text = not isinstance(error, UnicodeDecodeError)
            text = str(error) if is_text else f"not text in UTF-8: {error}"
            self._report([Mistake(0, text)], refuses=refuses)
            return
        for attempt in range(_ATTEMPTS):
            try:
                await self._carry_out(definitions, refuses=refuses, lines=lines)
            except (JobExistsError, JobNotFoundError):  # another process has changed them
                if attempt == _ATTEMPTS - 1:
                    raise
            else:
                return

    async def _carry_out(
        self, definitions: enmasse.Definitions, *, refuses: bool, lines: frozenset[int] | None
    ) -> None:
        now = self._clock.now()
        rows = await self._jobs.named(enmasse.names_of(definitions.items))
        calendars = await self._calendars.calendars()
        found = plan(definitions, rows, self._services, calendars, now)
        mistakes, differences = [*found.mistakes], [*found.differences]
        others = None if self._others is None else self._others.plan(definitions.sections)
        if others is not None:
            mistakes += (_mistake(each.message, ()) for each in others.errors)
            differences += others.differences
        self._report(mistakes, refuses=refuses)
        if self._others is not None and others is not None:
            await self._others.apply(others)
        if lines is None:
            for sentence in differences:
                _log.warning("jobs file differs", extra={"file": str(self.path), "why": sentence})
        else:
            found = _only(found, definitions, lines)
        if not found.creates and not found.edits:
            return
        await self._jobs.apply(found.creates, found.edits, by=SYSTEM_PRINCIPAL)
        wanted = [*found.creates, *found.edits.values()]
        await watch_over(wanted, self._jobs, now)
        if missing := await require_callbacks(wanted, self._jobs, SYSTEM):
            _log.warning("callback jobs missing", extra={"missing_jobs": missing})
        _log.info(
            "jobs file applied",
            extra={
                "file": str(self.path),
                "jobs_created": [job.name for job in found.creates],
                "jobs_updated": [job.name for job in found.edits.values()],
            },
        )

    def _report(self, mistakes: Sequence[Mistake], *, refuses: bool) -> None:
        """Keep the mistakes and log those that are new.

        Raises:
            ConfigError: ``refuses``, and there are some.
        """
        before = self.mistakes
        self.mistakes = [f"{self.path}: {mistake.text}" for mistake in mistakes]
        self._wrong = frozenset(mistake.line for mistake in mistakes)
        if refuses and mistakes:
            raise ConfigError("\n".join(self.mistakes))
        for mistake, text in zip(mistakes, self.mistakes, strict=True):
            if text not in before:
                extra = {"file": str(self.path), "why": mistake.text}
                _log.error("jobs file mistake skipped", extra=extra)


def _only(found: FilePlan, definitions: enmasse.Definitions, lines: frozenset[int]) -> FilePlan:
    """Return the changes of the jobs that begin in these lines."""
    names = enmasse.names_of(item for item in definitions.items if item.line in lines)
    return found._replace(
        creates=[job for job in found.creates if job.name in names],
        edits={key: job for key, job in found.edits.items() if job.name in names},
    )


def _read(path: Path) -> str:
    """Return the text of the file; a missing file is empty."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _stamp_of(path: Path) -> Stamp:
    """Return what changes with each version of the file; None if it does not exist."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
