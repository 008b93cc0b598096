"""Sentences of the package and names of tests keep to the language rule of CONTRIBUTING."""

from pathlib import Path

import pytest

from tests.language import bad_names, mistakes

ROOT = Path(__file__).parent.parent
PENDING: set[str] = set()
"""Places that do not keep to the rule yet."""


def _is_pending(path: Path) -> bool:
    place = path.relative_to(ROOT).parts
    return "/".join(place[:2]) in PENDING or (len(place) == 2 and f"{place[0]}/*.py" in PENDING)


@pytest.mark.parametrize(
    "path", sorted(p for d in ("zato_lite", "bench") for p in (ROOT / d).rglob("*.py")), ids=str
)
def test_sentences_are_plain(path: Path) -> None:
    if not _is_pending(path):
        assert list(mistakes(path)) == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("test_*.py")), ids=str)
def test_names_of_tests_are_plain(path: Path) -> None:
    if not _is_pending(path):
        assert list(bad_names(path)) == []
