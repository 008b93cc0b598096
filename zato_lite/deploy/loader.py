"""Loader: imports one file in a thread, within a deadline, and finds its services and claims."""

import asyncio
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType, TracebackType
from typing import Any, NamedTuple, TypeVar

from zato_lite.deploy.files import Source, shown, stamp_of
from zato_lite.deploy.ownership import SERVICE, Claim, unique
from zato_lite.errors import ConfigError, ZatoLiteError
from zato_lite.log_values import traceback_of
from zato_lite.service.base import Service
from zato_lite.service.context import service_logger
from zato_lite.service.entry import Entry
from zato_lite.service.middleware import Middleware, checked
from zato_lite.service.registry import Registry
from zato_lite.service.resource import Resource
from zato_lite.service.threads import WorkerPool

T = TypeVar("T")

Review = Callable[[Entry], Iterable[Claim]]
"""Returns what a service claims besides its name; raises if a declaration of it is wrong."""


class Failure(NamedTuple):
    """A file that could not be deployed: the error in one line, and its traceback."""

    source: Path
    message: str
    details: str


Explain = Callable[[BaseException], str]
"""Returns a sentence that explains the error of a file; or an empty text."""


def failure(path: Path, error: BaseException, explain: Explain | None = None) -> Failure:
    """Return the failure for an error that a file raised, with the line of the file."""
    sentence = explain(error) if explain is not None else ""
    sentence = sentence or _by_its_name(path, error)
    try:
        is_own = isinstance(error, ZatoLiteError)
        message = str(error) if is_own else f"{_kind(error)}: {sentence or error}"
    except BaseException:  # noqa: BLE001 - the error's class is the file's own; its __str__ may raise
        message = _kind(error)
    file = str(path.resolve())
    trace = _from(file, error.__traceback__)
    lines = [line for frame, line in traceback.walk_tb(trace) if _is_of(file, frame)]
    where = f"line {lines[-1]}: " if lines else ""
    if not lines and not isinstance(error, (ZatoLiteError, SyntaxError)):
        trace = error.__traceback__
    return Failure(path, shown(f"{where}{message}"), traceback_of(type(error), error, trace))


def _by_its_name(path: Path, error: BaseException) -> str:
    """Return how to import a file of the services, if one was looked for in their folder."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    name = (missing or "").partition(".")[0]
    if not name or name not in {folder.name for folder in path.parents}:
        return ""
    way = "import each other by their own names: `from orders import Order`"
    return f"{error}; files in {name}/ {way}"


def line_of(cls: type) -> str:
    """Return the start of a sentence about a class: its line, if its source has it."""
    try:
        return f"line {inspect.getsourcelines(cls)[1]}: "
    except (OSError, TypeError):
        return ""


def _from(file: str, trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback from the file on: the frames before that are those of its import."""
    while trace is not None and not _is_of(file, trace.tb_frame):
        trace = trace.tb_next
    return trace


def _is_of(file: str, frame: FrameType) -> bool:
    return frame.f_code.co_filename == file


def _kind(error: BaseException) -> str:
    return type(error).__name__


class Loader:
    """Imports the files of a folder, each in a thread, within a deadline.

    Args:
        registry: makes the entries of services.
        folder: files outside of it are refused.
        patience: seconds that an import, or the hooks of a file, may take.
        reviews: called with each service before it is deployed.
        explain: explains the error of an import.
    """

    def __init__(
        self,
        registry: Registry,
        folder: Path,
        patience: float,
        reviews: Sequence[Review],
        explain: Explain | None = None,
    ) -> None:
        self.registry, self.folder = registry, folder
        self.patience, self.reviews, self.explain = patience, reviews, explain
        self._idle: list[WorkerPool] = []

    def load(self, path: Path, source: Source) -> "Candidate":
        """Start to import a file."""
        return Candidate(self, path, source)

    async def run(self, work: Callable[[], T]) -> T:
        """Call a function in a thread; the thread is used again if it returns in time.

        Raises:
            TimeoutError: it did not; the thread is abandoned.
        """
        pool = self._idle.pop() if self._idle else WorkerPool(1)
        async with asyncio.timeout(self.patience):
            result = await pool.run(work)
        self._idle.append(pool)
        return result

    def close(self) -> None:
        """Close idle threads."""
        while self._idle:
            self._idle.pop().close()


class Candidate:
    """A version of a file on its way to being served.

    It has two steps: the import, and the ``after_add_to_store`` hooks. A step is a task that
    never raises; the file's errors are in ``failure``.

    Attributes:
        source: the version.
        step: the task that is under way, or has ended last.
        entries, claims, resources: services, claims and definitions, after the import.
        middleware: that of the folder, if the file is its ``__init__.py``.
        has_hooks: hooks have to be called before the version is served.
        failure: the file's error.
        is_hung: a step did not finish in time. has_changed: the file was written to meanwhile.
    """

    def __init__(self, loader: Loader, path: Path, source: Source) -> None:
        self.path, self.source = path, source
        self.entries: Sequence[Entry] = ()
        self.claims: tuple[Claim, ...] = ()
        self.resources: Sequence[Resource[Any]] = ()
        self.middleware: Sequence[Middleware] = ()
        self.failure: Failure | None = None
        self.has_hooks = self.is_hung = self.has_changed = False
        self._loader = loader
        self._module: _Module | None = None
        self._is_withdrawn = False
        self.step = asyncio.create_task(self._run(self._load, "was not imported"))

    def call_hooks(self) -> None:
        """Start to call the hooks of its services."""
        self.has_hooks = False
        self.step = asyncio.create_task(self._run(self._call_hooks, "did not end its hooks"))

    def wait_for(self, openings: Iterable[asyncio.Future[None]]) -> None:
        """Wait for resources that are being opened, as the step that is under way."""
        self.step = asyncio.create_task(_ended([*openings]))

    def withdraw(self) -> None:
        """Give the version up: other files import the earlier one again."""
        self._is_withdrawn = True
        if self._module is not None:
            self._module.withdraw()
        self.step.cancel()

    async def _run(self, work: Callable[[], None], problem: str) -> None:
        try:
            self.failure = await self._loader.run(lambda: self._contained(work))
        except TimeoutError:
            self.is_hung = True
            text = f"{self.path.name} {problem} within {self._loader.patience:g} s"
            self.failure = failure(self.path, TimeoutError(text))
        except Exception as error:  # noqa: BLE001 - the system has no thread left
            self.failure = failure(self.path, error)

    def _contained(self, work: Callable[[], None]) -> Failure | None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - a file's SystemExit must not reach the loop
            return failure(self.path, error, self._loader.explain)
        finally:
            self.has_changed = stamp_of(self.path) != self.source.stamp
        return None

    # In a thread

    def _load(self) -> None:
        path, folder = self.path, self._loader.folder
        if shown(path.relative_to(folder)) != str(path.relative_to(folder)):
            raise ImportError(f"file name is not valid UTF-8: {shown(path.name)}")
        if not path.resolve().is_relative_to(folder):
            raise PermissionError(f"{path} leads out of the folder")
        if self._is_withdrawn:  # while this waited for a thread
            return
        self._module = module = _Module(path, self.source.name)
        try:
            module.execute()
            entries, claims = self._declared(module.module)
            self.claims = unique(claims, str(path))
            self.resources = _resources_in(module.module)
            if path.name == "__init__.py":
                declared = vars(module.module).get("middleware", ())
                self.middleware = checked(declared, str(path.relative_to(folder)))
            self.entries = entries
            self.has_hooks = any(_has_hook(entry) for entry in entries)
        except BaseException:
            module.withdraw()
            raise

    def _declared(self, module: ModuleType) -> tuple[list[Entry], list[Claim]]:
        """Return the entries of a module and their claims.

        Raises:
            ConfigError: lists the mistakes of all classes.
        """
        entries: list[Entry] = []
        claims: list[Claim] = []
        mistakes: list[ConfigError] = []
        for cls in _services_in(module):
            try:
                entry = _entry_of(self._loader.registry, str(self.path), cls)
                claims += self._claims_of(entry)
                entries.append(entry)
            except ConfigError as error:
                mistakes.append(error)
        if mistakes:
            raise mistakes[0] if len(mistakes) == 1 else ConfigError("; ".join(map(str, mistakes)))
        return entries, claims

    def _claims_of(self, entry: Entry) -> Iterable[Claim]:
        yield Claim(SERVICE, entry.name)
        try:
            for review in self._loader.reviews:
                yield from review(entry)
        except ZatoLiteError as error:
            where = f"{line_of(entry.cls)}class {entry.cls.__name__}"
            raise ConfigError(f"{where}: {error}") from None

    def _call_hooks(self) -> None:
        for entry in self.entries:
            if _has_hook(entry):
                entry.cls.after_add_to_store(service_logger(entry.name))


def _entry_of(registry: Registry, path: str, cls: type[Service[Any, Any]]) -> Entry:
    """Return the entry of a class.

    Raises:
        ConfigError: a declared type is not one, or a handler takes other arguments than ``self``.
    """
    try:
        [entry] = registry.make_entries(path, [cls])
        for name in ("handle", *(f"handle_{verb}" for verb in sorted(entry.verbs))):
            _require_handler(name, inspect.getattr_static(cls, name))
    except TypeError as error:
        raise ConfigError(f"{line_of(cls)}class {cls.__name__}: {error}") from None
    return entry


def _require_handler(name: str, function: object) -> None:
    if isinstance(function, FunctionType):
        try:
            inspect.signature(function).bind("self")
        except TypeError as error:
            raise TypeError(f"{name} takes `self` only; {error}") from None
    elif not hasattr(function, "__get__"):
        raise TypeError(f"{name} {function!r} is not a method")


class _Module:
    """A file's module, in ``sys.modules`` in place of the earlier version until withdrawn."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        self._loader = _SourceLoader(name, str(path.resolve()))
        spec = importlib.util.spec_from_file_location(name, path.resolve(), loader=self._loader)
        if spec is None:
            raise ImportError(f"not a Python file: {path}")
        self.module = importlib.util.module_from_spec(spec)
        self._before: ModuleType | None = None

    def execute(self) -> None:
        self._before = sys.modules.get(self._name)
        sys.modules[self._name] = self.module
        self._loader.exec_module(self.module)

    def withdraw(self) -> None:
        # Only if no newer version has replaced this one meanwhile.
        if sys.modules.get(self._name) is self.module:
            if self._before is None:
                del sys.modules[self._name]
            else:
                sys.modules[self._name] = self._before


class _SourceLoader(SourceFileLoader):
    """Always compiles the source: a cached ``.pyc`` may be of a version of the same second."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _services_in(module: ModuleType) -> Iterator[type[Service[Any, Any]]]:
    """Yield the services that the module defines; imported ones belong to their own file."""
    for value in list(vars(module).values()):
        if (
            isinstance(value, type)
            and issubclass(value, Service)
            and _is_deployable(value, module)
        ):
            yield value


def _resources_in(module: ModuleType) -> list[Resource[Any]]:
    """Return the resources that the module defines.

    Raises:
        ConfigError: a definition is not valid.
    """
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, Resource) and value.function.__module__ == module.__name__
    ]
    for value in found:
        value.read_signature()
    return found


def _is_deployable(cls: type[Service[Any, Any]], module: ModuleType) -> bool:
    if cls.__module__ != module.__name__ or cls.__dict__.get("DONT_DEPLOY"):
        return False
    if not any(name.startswith("handle_") for name in dir(cls)) and (cls.handle is Service.handle):
        return False
    return cls.before_add_to_store(service_logger(cls.get_name())) is not False


async def _ended(openings: Sequence[asyncio.Future[None]]) -> None:
    await asyncio.wait(openings)


def _has_hook(entry: Entry) -> bool:
    own: object = getattr(entry.cls.after_add_to_store, "__func__", None)
    return own is not getattr(Service.after_add_to_store, "__func__", None)
