"""The locks pin every dependency that the project declares, each with hashes."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]


def pinned(lock: str) -> dict[str, list[str]]:
    """Return the pinned versions of each package; markers may allow several."""
    text = (ROOT / "locks" / lock).read_text()
    versions: dict[str, list[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE):
        versions.setdefault(name, []).append(version)
    return versions


@pytest.mark.parametrize(
    ("lock", "declared"),
    [
        ("runtime.txt", PROJECT["project"]["dependencies"] + GROUPS["build"]),
        ("test.txt", PROJECT["project"]["dependencies"] + GROUPS["test"]),
        ("dev.txt", GROUPS["dev"]),
    ],
    ids=["runtime", "test", "dev"],
)
def test_a_lock_pins_an_allowed_version_of_each_dependency(
    lock: str, declared: list[object]
) -> None:
    versions = pinned(lock)

    for text in declared:
        if isinstance(text, str):
            requirement = Requirement(text)
            found = versions.get(requirement.name, [])
            assert found, f"{requirement.name} is missing in {lock}: run `make lock`"
            assert all(requirement.specifier.contains(version) for version in found), text


@pytest.mark.parametrize("lock", ["runtime.txt", "test.txt", "dev.txt"])
def test_each_pinned_package_has_hashes_and_names_no_address(lock: str) -> None:
    text = (ROOT / "locks" / lock).read_text()

    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert entries
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in text
