"""Middleware of folders, and its redeployment."""

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zato_lite.deploy.deployer import Deployer
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry

INIT = """
class Add:
    async def __call__(self, call):
        return [{name!r}, *await call.next()]

middleware = [Add()]
"""
SERVICE = """
from zato_lite import Service

async def own(call):
    return ["class", *await call.next()]

class Ask(Service):
    middleware = [own]
    async def handle(self): return ["ask"]

class Plain(Service):
    async def handle(self): return ["plain"]
"""


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    before, path = {*sys.modules}, [*sys.path]
    yield
    sys.path[:] = path
    for name in {*sys.modules} - before:
        if name.startswith(("mid_", "__init__", "services")):
            del sys.modules[name]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write(name: str, text: str) -> Path:
        path = tmp_path / "services" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(textwrap.dedent(text))
        return path

    return write


async def test_middleware_of_outer_folders_comes_first(write: Any, tmp_path: Path) -> None:
    write("__init__.py", INIT.format(name="project"))
    inner = write("mid_crm/__init__.py", INIT.format(name="folder"))
    write("mid_crm/mid_ask.py", SERVICE)
    write("mid_top.py", SERVICE)
    registry = Registry()
    invoker, deployer = Invoker(registry), Deployer(registry, tmp_path / "services")
    await deployer.deploy()

    assert deployer.failures == {}
    assert await invoker.invoke("mid-ask.ask") == ["project", "folder", "class", "ask"]
    assert await invoker.invoke("mid-top.plain") == ["project", "plain"]
    before = registry.entries["mid-top.plain"]

    inner.write_text(INIT.format(name="changed"))
    await deployer.refresh([inner])
    assert await invoker.invoke("mid-ask.ask") == ["project", "changed", "class", "ask"]
    assert registry.entries["mid-top.plain"] is before

    inner.write_text("middleware = [5]")
    await deployer.refresh([inner])
    assert "mid_crm/__init__.py: middleware 5 has no" in deployer.failures[inner].message
    assert await invoker.invoke("mid-ask.plain") == ["project", "changed", "plain"]

    inner.unlink()
    await deployer.refresh()
    assert await invoker.invoke("mid-ask.plain") == ["project", "plain"]
    assert registry.entries["mid-ask.plain"].calls == 2
    deployer.close()
