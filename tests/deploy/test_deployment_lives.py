"""Random edits of a folder: after each, the services served are those of the files."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from zato_lite.deploy.deployer import Deployer
from zato_lite.service.registry import Registry

FILES = [f"life_{letter}" for letter in "abcdef"]
NAMES = [f"n{number}" for number in range(5)]


class Text(NamedTuple):
    """Contents of a file: services, an import, and an error that makes the import fail."""

    names: frozenset[str]
    imports: str
    is_broken: bool

    def write(self, path: Path, version: int) -> None:
        lines = [f"VERSION = {version}", "from zato_lite import Service"]
        lines += [f"import {self.imports}"] if self.imports else []
        for name in sorted(self.names):
            lines += [f"class S{name}(Service):", f"    name = {name!r}"]
            lines += [f"    async def handle(self): return {path.stem!r}, VERSION"]
        lines += ["1 / 0"] if self.is_broken else []
        path.write_text("\n".join(lines))


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    path = [*sys.path]
    yield
    sys.path[:] = path
    for name in FILES:
        sys.modules.pop(name, None)


def _text(chance: random.Random, name: str) -> Text:
    others = [other for other in FILES if other != name]
    return Text(
        names=frozenset(chance.sample(NAMES, chance.choice([0, 1, 1, 2]))),
        imports=chance.choice(others) if chance.random() < 0.3 else "",
        is_broken=chance.random() < 0.1,
    )


@pytest.mark.parametrize("seed", range(24))
async def test_each_file_is_served_whole_or_there_is_a_reason(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    registry = Registry()
    deployer = Deployer(registry, tmp_path)
    texts: dict[str, Text] = {}
    for version in range(40):
        for name in chance.sample(FILES, chance.choice([1, 1, 2, 3])):
            path = tmp_path / f"{name}.py"
            if name in texts and chance.random() < 0.25:
                del texts[name]
                path.unlink()
            else:
                texts[name] = _text(chance, name)
                texts[name].write(path, version)
        await deployer.refresh()

        served = {entry.name: Path(entry.source).stem for entry in registry}
        wrong = {path.stem for path in deployer.failures}
        assert {*served.values()} | wrong <= {*texts}
        for name, text in texts.items():
            mine = {service for service, owner in served.items() if owner == name}
            if name not in wrong:
                assert mine == text.names
                continue
            taken = any(served.get(service, name) != name for service in text.names)
            lacks = bool(text.imports) and (
                text.imports not in texts or text.imports in wrong or _in_circle(name, texts)
            )
            assert text.is_broken or taken or lacks, (version, name, deployer.failures)


def _in_circle(name: str, texts: dict[str, Text]) -> bool:
    """Return True if the file imports itself by way of others."""
    seen: list[str] = []
    while name in texts and name not in seen:
        seen.append(name)
        name = texts[name].imports
    return name in seen
