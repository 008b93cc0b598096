import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zato_lite.service.base import Service
from zato_lite.service.deployment import Changes, Deployer
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.registry import Registry
from zato_lite.service.reload import watch

SERVICE = """
from zato_lite import Service

class Answer(Service):
    async def handle(self):
        return {!r}
"""

Write = Callable[[str, str], Path]


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    before, path = {*sys.modules}, [*sys.path]
    yield
    sys.path[:] = path
    for name in {*sys.modules} - before:
        if name.startswith(("dep_", "services.")):
            del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "services"
    folder.mkdir()
    return folder


@pytest.fixture
def write(folder: Path) -> Write:
    def write(name: str, text: str) -> Path:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def deployer(registry: Registry, folder: Path) -> Deployer:
    return Deployer(registry, folder)


@pytest.fixture
def answer(registry: Registry) -> Callable[[str], Any]:
    return Invoker(registry).invoke


async def test_a_folder_is_deployed(deployer: Deployer, write: Write, answer: Any) -> None:
    path = write("dep_a.py", SERVICE.format(1))

    changes = await deployer.deploy()

    assert changes == Changes(deployed=(path,))
    assert await answer("dep-a.answer") == 1


async def test_a_new_version_replaces_the_old_one(
    deployer: Deployer, write: Write, answer: Any
) -> None:
    path = write("dep_a.py", SERVICE.format(1))
    await deployer.deploy()

    for version in range(2, 5):
        write("dep_a.py", SERVICE.format(version))
        await deployer.refresh([path])
        assert await answer("dep-a.answer") == version


async def test_what_is_in_flight_finishes_with_the_old_version(
    deployer: Deployer, write: Write, registry: Registry
) -> None:
    text = (
        "import asyncio\nfrom zato_lite import Service\ngo = asyncio.Event()\n"
        "class Slow(Service):\n    async def handle(self):\n"
        "        self.cache.set('started', go)\n        await go.wait()\n        return 'old'\n"
    )
    path = write("dep_slow.py", text)
    await deployer.deploy()
    invoker = Invoker(registry)
    old = asyncio.create_task(invoker.run(Invocation("dep-slow.slow")))
    await asyncio.wait([old], timeout=0)

    write("dep_slow.py", text.replace("await go.wait()", "pass").replace("'old'", "'new'"))
    go = invoker.cache.get("started")
    await deployer.refresh([path])
    new = await invoker.invoke("dep-slow.slow")
    go.set()

    assert new == "new"
    assert (await old).payload == "old"


@pytest.mark.parametrize(
    "broken",
    [
        "class :",
        "import nothing_of_the_kind",
        "raise SystemExit(1)",
        "raise KeyboardInterrupt",
        SERVICE.format(2) + "\nclass Two(Service):\n    name = 'dep-a.answer'\n"
        "    async def handle(self): ...",
        SERVICE.format(2) + "\nclass Other(Service):\n    name = 'dep-b.answer'\n"
        "    async def handle(self): ...",
        SERVICE.format(2) + "\nAnswer.input = 5",
        "\0",
    ],
)
async def test_a_broken_version_leaves_the_old_one_in_place(
    deployer: Deployer, write: Write, answer: Any, broken: str
) -> None:
    path = write("dep_a.py", SERVICE.format(1))
    write("dep_b.py", SERVICE.format("b"))
    await deployer.deploy()

    write("dep_a.py", broken)
    changes = await deployer.refresh([path])

    assert changes == Changes(failed=(path,))
    assert await answer("dep-a.answer") == 1
    assert await answer("dep-b.answer") == "b"
    status = deployer.status()[0]
    assert status.services == ("dep-a.answer",)
    assert status.failure is not None

    write("dep_a.py", SERVICE.format(3))
    await deployer.refresh([path])
    assert await answer("dep-a.answer") == 3
    assert deployer.failures == {}


async def test_a_file_whose_import_hangs_is_given_up(
    registry: Registry, folder: Path, write: Write
) -> None:
    deployer = Deployer(registry, folder, patience=0.05)
    write("dep_hang.py", "import threading\nthreading.Event().wait(5)")
    write("dep_ok.py", SERVICE.format(1))

    changes = await deployer.deploy()

    assert [path.name for path in changes.failed] == ["dep_hang.py"]
    assert registry.names() == ["dep-ok.answer"]
    assert "was not imported within 0.05 s" in next(iter(deployer.failures.values())).message


async def test_a_file_that_is_being_written_is_waited_for(
    deployer: Deployer, write: Write, answer: Any
) -> None:
    path = write("dep_a.py", SERVICE.format(1))
    await deployer.deploy()
    path.unlink()

    refreshing = asyncio.create_task(deployer.refresh([path], pause=0.2))
    await asyncio.wait([refreshing], timeout=0.05)
    write("dep_a.py", SERVICE.format(2))

    assert await refreshing == Changes(deployed=(path,))
    assert await answer("dep-a.answer") == 2


async def test_a_file_that_changes_while_it_is_imported_is_left_for_later(
    deployer: Deployer, write: Write, answer: Any, registry: Registry
) -> None:
    path = write("dep_a.py", SERVICE.format(1))
    await deployer.deploy()

    for ending in ("", "\nraise ValueError"):
        touch = f"from pathlib import Path\nPath({str(path)!r}).write_text('x = 1')\n"
        write("dep_a.py", SERVICE.format(2) + touch + ending)
        assert await deployer.refresh([path], pause=0.001) == Changes()

    assert await answer("dep-a.answer") == 1
    await deployer.refresh([path])
    assert registry.names() == []


async def test_a_deleted_file_is_undeployed(
    deployer: Deployer, write: Write, registry: Registry
) -> None:
    path = write("dep_a.py", SERVICE.format(1))
    await deployer.deploy()

    path.unlink()
    changes = await deployer.refresh([path])

    assert changes == Changes(gone=(path,))
    assert registry.names() == []
    assert deployer.status() == []
    assert await deployer.refresh([path]) == Changes()


async def test_folders_come_and_go_without_a_word(
    deployer: Deployer, write: Write, registry: Registry, folder: Path
) -> None:
    path = write("dep_sub/dep_a.py", SERVICE.format(1))
    await deployer.refresh([])
    assert registry.names() == ["dep-a.answer"]

    (folder / "dep_sub").rename(folder.parent / "elsewhere")
    changes = await deployer.refresh([])

    assert changes == Changes(gone=(path,))
    assert registry.names() == []


async def test_a_service_that_is_no_longer_in_its_file_is_undeployed(
    deployer: Deployer, write: Write, registry: Registry
) -> None:
    path = write("dep_a.py", SERVICE.format(1) + "\nclass More(Answer): pass\n")
    await deployer.deploy()
    assert registry.names() == ["dep-a.answer", "dep-a.more"]

    write("dep_a.py", SERVICE.format(1))
    await deployer.refresh([path])

    assert registry.names() == ["dep-a.answer"]


async def test_files_that_import_a_changed_one_are_deployed_anew(
    deployer: Deployer, write: Write, answer: Any
) -> None:
    model = write("dep_z_model.py", "VALUE = 1")
    write("dep_y.py", "from dep_z_model import VALUE")
    uses = write("dep_a.py", "import dep_y\n" + SERVICE.format(0).replace("0", "dep_y.VALUE"))
    await deployer.deploy()
    assert await answer("dep-a.answer") == 1

    write("dep_z_model.py", "VALUE = 2")
    changes = await deployer.refresh([model])

    assert changes.deployed == (model, model.with_name("dep_y.py"), uses)
    assert await answer("dep-a.answer") == 2

    write("dep_z_model.py", "VALUE = ")
    assert await deployer.refresh([model]) == Changes(failed=(model,))
    assert await answer("dep-a.answer") == 2


async def test_files_of_a_package_import_each_other_relatively(
    deployer: Deployer, write: Write, answer: Any
) -> None:
    write("dep_p/__init__.py", "")
    model = write("dep_p/model.py", "VALUE = 1")
    text = "from . import model\nfrom .model import VALUE\n" + SERVICE.format(0)
    write("dep_p/dep_api.py", text.replace("0", "VALUE + model.VALUE"))
    await deployer.deploy()

    write("dep_p/model.py", "VALUE = 2")
    await deployer.refresh([model])

    assert await answer("dep-api.answer") == 4


async def test_a_circle_of_imports_is_deployed(
    deployer: Deployer, write: Write, registry: Registry
) -> None:
    write("dep_a.py", "import dep_b\n" + SERVICE.format(1))
    write("dep_b.py", "import dep_a\n" + SERVICE.format(1))

    changes = await deployer.deploy()

    assert changes.failed == ()
    assert registry.names() == ["dep-a.answer", "dep-b.answer"]


async def test_what_leads_out_of_the_folder_is_not_deployed(
    deployer: Deployer, folder: Path, registry: Registry
) -> None:
    outside = folder.parent / "dep_outside.py"
    outside.write_text(SERVICE.format(1))
    (folder / "dep_link.py").symlink_to(outside)
    (folder / "dep_dead.py").symlink_to(folder / "nowhere.py")

    changes = await deployer.deploy()

    assert [path.name for path in changes.failed] == ["dep_link.py"]
    assert registry.names() == []
    assert await deployer.refresh([outside]) == Changes()


async def test_hostile_names_do_no_harm(
    deployer: Deployer, write: Write, registry: Registry
) -> None:
    for name in ("dep_a b.py", "dep_;exit().py", "dep_ünï.py", "dep_\n.py", "dep_..py", "-.py"):
        write(name, SERVICE.format(1))

    changes = await deployer.deploy()

    assert changes.failed == ()
    assert len(registry) == 6


async def test_a_new_version_goes_on_counting_and_stays_inactive(
    deployer: Deployer, write: Write, registry: Registry, answer: Any
) -> None:
    path = write("dep_a.py", SERVICE.format(1))
    await deployer.deploy()
    await answer("dep-a.answer")
    registry.get("dep-a.answer").is_active = False

    await deployer.refresh([path])

    entry = registry.get("dep-a.answer")
    assert (entry.calls, entry.is_active) == (1, False)


async def test_a_service_is_told_that_it_was_deployed(deployer: Deployer, write: Write) -> None:
    more = "    @classmethod\n    def after_add_to_store(cls, logger):\n        cls.told = True\n"
    write("dep_a.py", SERVICE.format(1) + more)

    await deployer.deploy()

    assert sys.modules["dep_a"].Answer.told


async def test_a_file_s_service_cannot_replace_a_built_in_one(
    deployer: Deployer, write: Write, registry: Registry
) -> None:
    class BuiltIn(Service):
        name = "dep-a.answer"

        async def handle(self) -> None: ...

    registry.add(BuiltIn, is_internal=True)
    write("dep_a.py", SERVICE.format(1))

    changes = await deployer.deploy()

    assert len(changes.failed) == 1
    assert registry.get("dep-a.answer").is_internal


async def test_changes_of_the_folder_are_noticed(
    deployer: Deployer, write: Write, answer: Any
) -> None:
    write("dep_a.py", SERVICE.format(1))
    await deployer.deploy()
    changed: asyncio.Queue[Changes] = asyncio.Queue()
    watching = asyncio.create_task(watch(deployer, changed.put_nowait))

    found = await _until_noticed(changed, lambda n: write("dep_a.py", SERVICE.format(f"v{n}")))
    watching.cancel()
    await asyncio.wait([watching])

    assert [path.name for path in found.deployed] == ["dep_a.py"]
    assert str(await answer("dep-a.answer")).startswith("v")


async def _until_noticed(
    changed: asyncio.Queue[Changes], touch: Callable[[int], object]
) -> Changes:
    """Touch again until the watcher, which needs a moment to begin, has seen it."""
    for n in range(300):
        touch(n)
        try:
            return await asyncio.wait_for(changed.get(), 0.3)
        except TimeoutError:
            continue
    raise AssertionError("nothing was noticed")
