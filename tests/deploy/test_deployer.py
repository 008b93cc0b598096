import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zato_lite.deploy.deployer import Changes, Deployer
from zato_lite.deploy.ownership import Claim
from zato_lite.deploy.watcher import watching
from zato_lite.errors import ConfigError
from zato_lite.service.base import Service
from zato_lite.service.entry import Entry
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.registry import Registry

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
    return Deployer(registry, folder, doubt=0.2)


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


async def test_invocations_in_flight_finish_with_the_old_version(
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


async def test_moved_folders_are_noticed_without_being_named(
    deployer: Deployer, write: Write, registry: Registry, folder: Path
) -> None:
    path = write("dep_sub/dep_a.py", SERVICE.format(1))
    await deployer.refresh([])
    assert registry.names() == ["dep-a.answer"]

    (folder / "dep_sub").rename(folder.parent / "elsewhere")
    changes = await deployer.refresh([])

    assert changes == Changes(gone=(path,))
    assert registry.names() == []


async def test_a_service_that_was_deleted_from_its_file_is_undeployed(
    deployer: Deployer, write: Write, registry: Registry
) -> None:
    path = write("dep_a.py", SERVICE.format(1) + "\nclass More(Answer): pass\n")
    await deployer.deploy()
    assert registry.names() == ["dep-a.answer", "dep-a.more"]

    write("dep_a.py", SERVICE.format(1))
    await deployer.refresh([path])

    assert registry.names() == ["dep-a.answer"]


async def test_files_that_import_a_changed_one_are_deployed_again(
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


async def test_links_out_of_the_folder_are_not_deployed(
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


async def test_hostile_file_names_are_harmless(
    deployer: Deployer, write: Write, registry: Registry
) -> None:
    for name in ("dep_a b.py", "dep_;exit().py", "dep_ünï.py", "dep_\n.py", "dep_..py", "-.py"):
        write(name, SERVICE.format(1))

    changes = await deployer.deploy()

    assert changes.failed == ()
    assert len(registry) == 6


async def test_a_new_version_keeps_the_counters_and_stays_inactive(
    deployer: Deployer, write: Write, registry: Registry, answer: Any
) -> None:
    path = write("dep_a.py", SERVICE.format(1))
    await deployer.deploy()
    await answer("dep-a.answer")
    registry.get("dep-a.answer").is_active = False

    await deployer.refresh([path])

    entry = registry.get("dep-a.answer")
    assert (entry.calls, entry.is_active) == (1, False)


async def test_the_hook_of_a_deployed_service_is_called(deployer: Deployer, write: Write) -> None:
    more = HOOK.format("cls.is_deployed = True")
    write("dep_a.py", SERVICE.format(1) + more)

    await deployer.deploy()

    assert sys.modules["dep_a"].Answer.is_deployed


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
    deployer.on_change.append(changed.put_nowait)

    async with watching(deployer):
        found = await _until_noticed(changed, lambda n: write("dep_a.py", SERVICE.format(f"v{n}")))

    assert [path.name for path in found.deployed] == ["dep_a.py"]
    assert str(await answer("dep-a.answer")).startswith("v")


async def _until_noticed(
    changed: asyncio.Queue[Changes], touch: Callable[[int], object]
) -> Changes:
    """Write again and again until the watcher, which starts in a thread, has noticed."""
    for n in range(300):
        touch(n)
        try:
            return await asyncio.wait_for(changed.get(), 0.3)
        except TimeoutError:
            continue
    raise AssertionError("the watcher noticed no change")


HANGS = "import threading\nthreading.Event().wait(60)\n"
HOOK = "    @classmethod\n    def after_add_to_store(cls, logger):\n        {}\n"


def _failed(deployer: Deployer) -> dict[str, str]:
    return {path.name: found.message for path, found in deployer.failures.items()}


def _until(go: Path) -> str:
    """Return lines of a file whose import takes until another file exists."""
    wait = f"while not Path({str(go)!r}).exists(): time.sleep(0.01)\n"
    return f"import time\nfrom pathlib import Path\n{wait}"


async def test_imports_that_hang_do_not_delay_other_files(
    registry: Registry, folder: Path, write: Write, answer: Any
) -> None:
    deployer = Deployer(registry, folder, patience=1.0, aside=0.2)
    hanging = [write(f"dep_hang_{n}.py", HANGS) for n in range(5)]
    write("dep_z.py", SERVICE.format(1))

    began = asyncio.get_running_loop().time()
    await deployer.deploy()
    took = asyncio.get_running_loop().time() - began

    assert [path.name for path in hanging] == sorted(_failed(deployer))
    assert took < 4 * 1.0  # not 5 times
    for version in range(2, 5):
        write("dep_hang_0.py", HANGS + f"# {version}\n")
        assert await deployer.refresh(hanging[:1]) == Changes()
        other = write("dep_z.py", SERVICE.format(version))
        await deployer.refresh([other])
        await deployer.settled(other)
        assert await answer("dep-z.answer") == version
    write("dep_hang_0.py", SERVICE.format(5))
    await deployer.refresh(hanging[:1])
    assert await answer("dep-hang-0.answer") == 5
    assert sorted(_failed(deployer)) == [path.name for path in hanging[1:]]


async def test_a_slow_import_is_deployed_later_together_with_its_importers(
    registry: Registry, folder: Path, write: Write, answer: Any
) -> None:
    deployer = Deployer(registry, folder, aside=0.3)
    go = folder.parent / "go"
    slow = write(
        "dep_slow.py",
        _until(go) + "VALUE = 7\n",
    )
    uses = write(
        "dep_uses.py", "import dep_slow\n" + SERVICE.format(0).replace("0", "dep_slow.VALUE")
    )
    other = write("dep_z.py", SERVICE.format(1))

    assert await deployer.refresh() == Changes(deployed=(other,))
    assert deployer.failures == {}
    go.touch()
    changes = await deployer.deploy()

    assert {slow, uses} <= {*changes.deployed}
    assert await answer("dep-uses.answer") == 7


async def test_a_file_whose_import_ends_at_this_moment_is_waited_for(
    registry: Registry, folder: Path, write: Write
) -> None:
    deployer = Deployer(registry, folder, aside=0.01)
    go = folder.parent / "go"
    write("dep_slow.py", _until(go) + SERVICE.format(1))
    await deployer.refresh()
    ((_, slow),) = deployer._loading.items()
    go.touch()
    while not slow.step.done():  # noqa: ASYNC110 - its callbacks have not run yet then
        await asyncio.sleep(0)

    await deployer.settled()

    assert registry.names() == ["dep-slow.answer"]


async def test_a_circle_that_imports_a_slow_file_is_deployed_with_it(
    registry: Registry, folder: Path, write: Write
) -> None:
    deployer = Deployer(registry, folder, aside=0.01)
    go = folder.parent / "go"
    slow = _until(go)
    write("dep_a.py", "import dep_b, dep_slow\n" + SERVICE.format(1))
    write("dep_b.py", "import dep_a, dep_slow\n" + SERVICE.format(1))
    write("dep_slow.py", slow + SERVICE.format(1))
    write("dep_x.py", slow + "import dep_y\n" + SERVICE.format(1))
    write("dep_y.py", "import dep_x\n" + SERVICE.format(1))
    await deployer.refresh()
    assert registry.names() == []

    go.touch()
    await deployer.deploy()

    assert deployer.failures == {}
    assert registry.names() == [f"dep-{name}.answer" for name in ("a", "b", "slow", "x", "y")]


async def test_importers_of_a_file_that_hangs_are_refused_without_being_imported(
    registry: Registry, folder: Path, write: Write
) -> None:
    deployer = Deployer(registry, folder, patience=0.1, aside=0.01)
    write("dep_hang.py", HANGS)
    write("dep_a.py", "import dep_hang\n" + SERVICE.format(1))
    write("dep_b.py", "import dep_a\n" + SERVICE.format(1))

    await deployer.deploy()

    assert "it imports dep_hang.py" in _failed(deployer)["dep_a.py"]
    assert "it imports dep_a.py" in _failed(deployer)["dep_b.py"]


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("raise SystemExit(3)", "SystemExit"),
        ("import threading; threading.Event().wait(60)", "did not end its hooks"),
    ],
)
async def test_a_hook_that_fails_leaves_the_old_version_in_place(
    registry: Registry, folder: Path, write: Write, hook: str, words: str
) -> None:
    deployer = Deployer(registry, folder, patience=1.5)
    answer = Invoker(registry).invoke
    path = write("dep_a.py", SERVICE.format(1))
    uses = write("dep_b.py", "import dep_a\n" + SERVICE.format("b"))
    await deployer.deploy()
    before = sys.modules["dep_a"]

    write("dep_a.py", SERVICE.format(2) + HOOK.format(hook))
    write("dep_b.py", "import dep_a\n" + SERVICE.format("B"))
    changes = await deployer.deploy()

    assert path in changes.failed
    assert await answer("dep-a.answer") == 1
    assert await answer("dep-b.answer") == "B"
    assert sys.modules["dep_a"] is before
    assert words in _failed(deployer)["dep_a.py"]
    assert uses not in deployer.failures


async def test_a_slow_hook_does_not_delay_other_files(
    registry: Registry, folder: Path, write: Write, answer: Any
) -> None:
    deployer = Deployer(registry, folder, aside=0.3)
    go = folder.parent / "go"
    wait = (
        "import time, pathlib\n"
        f"        while not pathlib.Path({str(go)!r}).exists(): time.sleep(0.01)"
    )
    write("dep_a.py", SERVICE.format(1) + HOOK.format(wait))
    write("dep_b.py", "import dep_a\n" + SERVICE.format(2))
    write("dep_z.py", SERVICE.format(3))

    await deployer.refresh()

    assert registry.names() == ["dep-z.answer"]
    go.touch()
    await deployer.deploy()
    assert registry.names() == ["dep-a.answer", "dep-b.answer", "dep-z.answer"]


NAMED = SERVICE.replace("    async", "    name = 'dep.moved'\n    async")


async def test_a_service_moves_from_one_file_to_another_without_a_gap(
    deployer: Deployer, write: Write, registry: Registry, answer: Any
) -> None:
    first = write("dep_a.py", "x = 1")
    second = write("dep_b.py", NAMED.format(1))
    await deployer.deploy()
    gaps = []

    async def poll() -> None:
        while True:
            gaps.append("dep.moved" not in registry)
            await asyncio.sleep(0)

    polling = asyncio.create_task(poll())
    for here, there in ((first, second), (second, first)):
        write(here.name, NAMED.format(here.name))
        write(there.name, "x = 2")
        changes = await deployer.refresh([first, second], pause=0.001)
        assert changes == Changes(deployed=(first, second))
        assert await answer("dep.moved") == here.name
    polling.cancel()

    assert not any(gaps)


async def test_a_file_that_was_refused_gets_the_name_when_it_is_free(
    deployer: Deployer, write: Write, answer: Any
) -> None:
    first = write("dep_a.py", NAMED.format("a"))
    second = write("dep_b.py", NAMED.format("b"))
    await deployer.deploy()
    assert "already exists" in _failed(deployer)["dep_b.py"]

    first.unlink()
    assert await deployer.refresh() == Changes(deployed=(second,), gone=(first,))
    assert await answer("dep.moved") == "b"
    assert deployer.failures == {}

    write("dep_a.py", NAMED.format("a"))
    await deployer.refresh()
    write("dep_b.py", "x = 1")
    assert await deployer.refresh([second]) == Changes(deployed=(second, first))
    assert await answer("dep.moved") == "a"


async def test_importers_of_a_refused_file_are_served_with_its_old_version(
    deployer: Deployer, write: Write, answer: Any
) -> None:
    write("dep_taken.py", NAMED.format(0))
    model = write("dep_model.py", "VALUE = 1")
    uses = write(
        "dep_uses.py", "import dep_model\n" + SERVICE.format(0).replace("0", "dep_model.VALUE")
    )
    await deployer.deploy()

    write("dep_model.py", "VALUE = 2\n" + NAMED.format(0))
    write("dep_uses.py", uses.read_text() + "# changed\n")
    changes = await deployer.refresh([model, uses])

    assert changes == Changes(deployed=(uses,), failed=(model,))
    assert await answer("dep-uses.answer") == 1


async def test_importers_of_a_deleted_file_are_reported_and_stay_served(
    deployer: Deployer, write: Write, answer: Any
) -> None:
    model = write("dep_model.py", "VALUE = 1")
    uses = write(
        "dep_uses.py", "import dep_model\n" + SERVICE.format(0).replace("0", "dep_model.VALUE")
    )
    await deployer.deploy()

    model.unlink()
    assert await deployer.refresh() == Changes(gone=(model,), failed=(uses,))
    assert "No module named 'dep_model'" in _failed(deployer)["dep_uses.py"]
    assert await answer("dep-uses.answer") == 1

    write("dep_model.py", "VALUE = 2")
    await deployer.refresh()
    assert deployer.failures == {}
    assert await answer("dep-uses.answer") == 2


async def test_a_version_that_has_lost_services_is_held_back_and_then_accepted(
    registry: Registry, folder: Path, write: Write
) -> None:
    deployer = Deployer(registry, folder, doubt=5.0)
    changed: asyncio.Queue[Changes] = asyncio.Queue()
    deployer.on_change.append(changed.put_nowait)
    path = write("dep_a.py", SERVICE.format(1) + "\nclass More(Answer): pass\n")
    await deployer.deploy()
    changed.get_nowait()

    for half in ("", SERVICE.format(2)):
        write("dep_a.py", half)
        assert await deployer.refresh([path], pause=0.001) == Changes()
        assert registry.names() == ["dep-a.answer", "dep-a.more"]
    write("dep_a.py", SERVICE.format(2) + "\nclass More(Answer): pass\n")
    assert await deployer.refresh([path], pause=0.001) == Changes(deployed=(path,))
    assert changed.get_nowait().deployed == (path,)

    deployer.doubt = 0.05
    write("dep_a.py", "")
    await deployer.refresh([path], pause=0.001)
    assert await changed.get() == Changes(deployed=(path,))
    assert registry.names() == []


async def test_a_file_name_that_is_not_utf8_is_reported_and_harmless(
    deployer: Deployer, folder: Path, write: Write, registry: Registry
) -> None:
    path = folder / os.fsdecode(b"dep_bad\xff.py")
    path.write_text(SERVICE.format(1))
    write("dep_a.py", SERVICE.format(1))

    await deployer.deploy()

    assert registry.names() == ["dep-a.answer"]
    status = {Path(it.source).name: it.failure for it in deployer.status()}
    found = status["dep_bad\\udcff.py"]
    assert found is not None
    assert "UTF-8" in found.message
    for it in deployer.status():
        it.source.encode()
        assert it.failure is None or (it.failure.message + it.failure.details).encode()


async def test_an_error_whose_text_cannot_be_read_is_reported_by_its_class(
    deployer: Deployer, write: Write
) -> None:
    write(
        "dep_a.py",
        "class Mute(Exception):\n    def __str__(self): return 1 / 0\nraise Mute",
    )
    write(
        "dep_b.py",
        "class Exits(BaseException):\n    def __str__(self): raise SystemExit\n"
        "    __repr__ = __str__\nraise Exits",
    )
    write("dep_c.py", "import asyncio\nraise asyncio.CancelledError")

    await deployer.deploy()

    assert _failed(deployer) == {
        "dep_a.py": "line 3: Mute",
        "dep_b.py": "line 4: Exits",
        "dep_c.py": "line 2: CancelledError: ",
    }


async def test_a_review_that_fails_refuses_the_whole_file(
    registry: Registry, folder: Path, write: Write
) -> None:
    def review(entry: Entry) -> Iterator[Claim]:
        if getattr(entry.cls, "wrong", False):
            raise ConfigError("it is wrong")
        yield Claim("Thing", str(getattr(entry.cls, "thing", entry.name)))

    deployer = Deployer(
        registry, folder, reviews=[review], taken={"the settings": [Claim("Thing", "ours")]}
    )
    good = SERVICE.format(1)
    write("dep_a.py", good + "    thing = 1\n")
    write("dep_b.py", good + "    thing = 1\n")
    write("dep_c.py", good + "    wrong = True\n")
    write("dep_d.py", good + "    thing = 'ours'\n")
    write("dep_e.py", good + "\nclass More(Answer): wrong = True\n")
    write(
        "dep_f.py",
        good.replace("class Answer(Service):", "class Mixin:") + "\n"
        "Made = type('Made', (Mixin, Service), {'wrong': True, '__module__': __name__})\n",
    )

    await deployer.deploy()

    assert registry.names() == ["dep-a.answer"]
    failed = _failed(deployer)
    assert failed["dep_b.py"].startswith("Thing `1` already exists, in ")
    assert failed["dep_c.py"] == "line 4: class Answer: it is wrong"
    assert failed["dep_e.py"].endswith(": class More: it is wrong")
    assert failed["dep_f.py"] == "class Made: it is wrong"  # no line defines it
    assert failed["dep_d.py"].endswith("in the settings")


async def test_a_listener_that_fails_does_not_stop_the_others(
    deployer: Deployer, write: Write
) -> None:
    received: list[Changes] = []
    deployer.on_change += [lambda _: 1 / 0, received.append]

    path = write("dep_a.py", SERVICE.format(1))
    await deployer.refresh()

    assert received == [Changes(deployed=(path,))]


async def test_deployment_survives_a_service_that_cancels_all_tasks(
    registry: Registry, folder: Path, write: Write
) -> None:
    deployer = Deployer(registry, folder, aside=0.01)
    go = folder.parent / "go"
    write("dep_slow.py", _until(go) + SERVICE.format(1))
    await deployer.refresh()

    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)
    go.touch()
    await deployer.deploy()

    assert registry.names() == ["dep-slow.answer"]


class Watched:
    """A watched folder: waits until given services are served."""

    def __init__(self, deployer: Deployer, registry: Registry) -> None:
        self.registry, self._changed = registry, asyncio.Event()
        deployer.on_change.append(lambda _: self._changed.set())

    async def until_served(self, *names: str) -> None:
        async with asyncio.timeout(20):
            while self.registry.names() != list(names):
                await self._changed.wait()
                self._changed.clear()


def move(path: Path, target: Path) -> None:
    path.rename(target)


@pytest.fixture
async def watched(deployer: Deployer, registry: Registry, write: Write) -> AsyncIterator[Watched]:
    """A folder with one service, whose watcher has begun."""
    watched = Watched(deployer, registry)
    async with watching(deployer):
        write("dep_a.py", SERVICE.format(1))
        await watched.until_served("dep-a.answer")
        yield watched
    deployer.close()


async def test_watching_survives_a_file_name_that_is_not_utf8(
    watched: Watched, folder: Path, write: Write
) -> None:
    for n in range(3):
        (folder / os.fsdecode(b"dep_bad\xff.py")).write_text(f"x = {n}")
        await asyncio.sleep(0.1)

    write("dep_b.py", SERVICE.format(2))

    await watched.until_served("dep-a.answer", "dep-b.answer")


async def test_watching_survives_a_service_that_cancels_all_tasks(
    watched: Watched, write: Write
) -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)

    write("dep_b.py", SERVICE.format(2))

    await watched.until_served("dep-a.answer", "dep-b.answer")


async def test_a_folder_that_replaces_the_watched_one_is_watched(
    watched: Watched, folder: Path, write: Write
) -> None:
    other = write(str(folder.with_name("other") / "dep_b.py"), SERVICE.format(2)).parent
    move(folder, folder.with_name("old"))
    move(other, folder)
    await watched.until_served("dep-b.answer")

    write("dep_c.py", SERVICE.format(3))

    await watched.until_served("dep-b.answer", "dep-c.answer")


async def test_services_disappear_with_their_folder_and_return_with_it(
    watched: Watched, folder: Path
) -> None:
    away = folder.with_name("away")
    move(folder, away)
    await watched.until_served()

    move(away, folder)

    await watched.until_served("dep-a.answer")


async def test_a_folder_with_a_dot_in_its_name_comes_and_goes(
    watched: Watched, folder: Path, write: Write
) -> None:
    outside = write(str(folder.with_name("v1.2") / "dep_b.py"), SERVICE.format(1)).parent

    move(outside, folder / "v1.2")
    await watched.until_served("dep-a.answer", "dep-b.answer")

    move(folder / "v1.2", outside)
    await watched.until_served("dep-a.answer")
