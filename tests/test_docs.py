"""Documentation keeps to the code and to the language rule."""

import ast
import re
from pathlib import Path

import pytest

from tests.language import WORDS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
STEP = re.compile(r"`(zato_lite/[\w/]+\.py):([\w.]+)`")
PATH = re.compile(r"`((?:zato_lite|tests|bench|docs)/[\w./-]+\.(?:py|md))`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")
OPENING = re.compile(r"(What|Whether|Whoever|How|Who|Whose|Those|Where|Which|That)\b")
PENDING: set[str] = set()
"""Pages that are not rewritten yet."""


def code_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def prose(page: Path) -> str:
    """Return the text of a page without its code."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"``.*?``|`[^`]*`|^    .*$", "…", text, flags=re.MULTILINE)


def defined(tree: ast.Module) -> set[str]:
    found: set[str] = set()

    def add(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(f"{prefix}{node.name}")
            if isinstance(node, ast.ClassDef):
                add(node.body, f"{prefix}{node.name}.")

    add(tree.body, "")
    return found


def test_each_step_of_the_architecture_walks_exists() -> None:
    steps = STEP.findall((ROOT / "docs" / "architecture.md").read_text("utf-8"))

    missing = [
        f"{file}:{name}"
        for file, name in steps
        if not (ROOT / file).is_file()
        or name not in defined(ast.parse((ROOT / file).read_text("utf-8")))
    ]

    assert missing == []
    assert len(steps) > 20


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_files_and_links_of_a_page_exist(page: Path) -> None:
    text = page.read_text("utf-8")

    assert [path for path in PATH.findall(text) if not (ROOT / path).exists()] == []
    assert [link for link in LINK.findall(text) if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_python_blocks_of_a_page_compile(page: Path) -> None:
    for block in code_blocks(page):
        compile(block, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_a_page_keeps_to_the_language_rule(page: Path) -> None:
    if page.relative_to(ROOT).as_posix() in PENDING:
        pytest.skip("not rewritten yet")
    if page.name == "CONTRIBUTING.md":  # it quotes the words
        return
    text = prose(page)

    found = [line for line in text.splitlines() if WORDS.search(line)]
    headings = [line for line in text.splitlines() if re.match(rf"#+ {OPENING.pattern}", line)]

    assert found == []
    assert headings == []
