"""Plugin of pytest: the fixture ``it``, and async tests that need no configuration.

It imports nothing of zato-lite before a test uses the fixture.
"""

import inspect
import sys
import warnings
from collections.abc import AsyncIterator, Callable, Collection, Generator, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_MARKS = ("asyncio", "anyio", "trio")

_runner = "pytest_asyncio" if find_spec("pytest_asyncio") else "pytest"  # which says it is missing
fixture: Callable[[Callable[..., AsyncIterator[Any]]], object] = import_module(_runner).fixture


@fixture
async def it(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    """Return a sandbox of the project that the test belongs to.

    The options of ``sandbox`` are those of the marker: ``@pytest.mark.sandbox(at=…)``.
    """
    from zato_lite.testing.app import sandbox  # noqa: PLC0415 - slow, and few tests need it

    marker = request.node.get_closest_marker("sandbox")
    classes, options = (marker.args, marker.kwargs) if marker else ((), {})
    async with sandbox(*classes, **{"project": project_of(request.path), **options}) as opened:
        yield opened


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and let the tests of a project import its services."""
    config.addinivalue_line(
        "markers", "sandbox(*classes, at=…, services=…, …): options of the fixture `it`"
    )
    if project_of(config.rootpath / "tests") == config.rootpath:
        sys.path.append(str(config.rootpath))
        # pytest-asyncio asks for a setting that the kit does not need.
        warnings.filterwarnings("ignore", ".*asyncio_default_fixture_loop_scope")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Have pytest-asyncio run async tests that use the kit, whatever its mode."""
    made = yield
    for item in made if isinstance(made, list) else ():
        if isinstance(item, pytest.Function) and _needs_mark(item):
            item.add_marker("asyncio")
    return made


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Have pytest-asyncio run async fixtures that use the kit, whatever its mode."""
    function = fixturedef.func
    is_async = inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function)
    if is_async and "anyio_backend" not in request.fixturenames:
        names = getattr(inspect.unwrap(function), "__globals__", {})
        if _uses_kit(fixturedef.argnames, names):
            plain: Any = getattr(function, "__func__", function)
            fixture(plain)  # which marks the function
    return (yield)


def _needs_mark(item: pytest.Function) -> bool:
    if not inspect.iscoroutinefunction(item.obj):
        return False
    if "anyio_backend" in item.fixturenames:  # anyio runs it, also in its automatic mode
        return False
    if any(item.get_closest_marker(mark) for mark in _MARKS):
        return False
    return _uses_kit(item.fixturenames, vars(item.module))


def _uses_kit(fixtures: Collection[str], names: Mapping[str, object]) -> bool:
    """Return True if a function has the fixture ``it``, or the kit is among its module's names."""
    return "it" in fixtures or any(
        str(getattr(value, "__module__", "")).startswith("zato_lite.testing")
        for value in names.values()
    )


def project_of(path: Path) -> Path | None:
    """Return the project that a test belongs to: the nearest folder above with services."""
    for folder in path.parents:
        if (folder / "config/zato-lite.toml").is_file() or (folder / "services").is_dir():
            return folder
    return None
