"""The page of features names tests that exist."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/comparison.md"
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| feature |")
]


def functions(path: Path) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_a_feature_is_shown_by_tests(row: list[str]) -> None:
    assert len(row) == 7
    here, *others, shown = row[1:]
    names = re.findall(r"`([^`]+)`", shown)

    assert {word.partition(":")[0] for word in (here, *others)} <= {"yes", "partly", "no", "-"}
    assert bool(names) is not here.startswith("no")
    for name in names:
        file, _, test = name.partition("::")
        assert not test or test in functions(TESTS / file)
        assert (TESTS / file).is_file()


def test_the_page_has_all_features() -> None:
    assert len(ROWS) == len({row[0] for row in ROWS}) >= 36
