"""Build the documentation: gather the pages, generate the reference from the code, run Sphinx.

The pages in docs/ link to files of the repository. Here each link to a page leads to its
copy, each link to a file in deploy/ to the page that shows it, and any other becomes plain text.
"""

import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from reference import pages
from sphinx.cmd.build import build_main

ROOT = Path(__file__).parents[2]
PROJECT = {
    "README.md": "project/readme.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
}
LINK = re.compile(
    r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|#|mailto:)([^)\s#]+)(#[^)\s]*)?\)"
)


def main() -> int:
    """Write the pages into dist/docs; warnings are errors."""
    source, target = ROOT / "dist/docs-source", ROOT / "dist/docs"
    for folder in (source, target):
        shutil.rmtree(folder, ignore_errors=True)
    gather(source)
    for name, text in pages():
        write(source / "reference" / name, text)
    write(source / "reference/files.md", "\n".join(files()))
    write(source / "llms.txt", "\n".join(for_machines(source)))
    shutil.copy(Path(__file__).with_name("conf.py"), source)
    return build_main(["-W", "--keep-going", "-qn", "-jauto", str(source), str(target)])


def gather(source: Path) -> None:
    """Copy the pages, with their links adapted, and the images."""
    shutil.copytree(ROOT / "docs/images", source / "images")
    moved = {ROOT / name: place for name, place in PROJECT.items()}
    for page in (ROOT / "docs").rglob("*.md"):
        moved[page] = page.relative_to(ROOT / "docs").as_posix()
    for page, place in moved.items():
        text = LINK.sub(
            lambda link, page=page, place=place: linked(link, page, place, moved),
            page.read_text("utf-8"),
        )
        write(source / place, text)
    with (source / "decisions/README.md").open("a", encoding="utf-8") as index:
        index.write("\n```{toctree}\n:hidden:\n:glob:\n\n0*\n```\n")


def linked(link: re.Match[str], page: Path, place: str, moved: dict[Path, str]) -> str:
    """Return a link of a page as it has to be at the page's new place."""
    mark, words, path, anchor = link[1], link[2], link[3], link[4] or ""
    wanted = (page.parent / path).resolve()
    if wanted == ROOT / "docs/decisions":
        wanted /= "README.md"
    if wanted in moved:
        return f"{mark}[{words}]({up(place)}{moved[wanted]}{anchor})"
    if wanted.is_relative_to(ROOT / "docs/images"):
        return f"{mark}[{words}]({up(place)}{wanted.relative_to(ROOT / 'docs').as_posix()})"
    if wanted.is_file() and wanted.suffix != ".json" and wanted.is_relative_to(ROOT / "deploy"):
        anchor = re.sub(r"[^a-z0-9]+", "-", wanted.relative_to(ROOT).as_posix().lower()).strip("-")
        return f"[{words}]({up(place)}reference/files.md#{anchor})"
    return words


def up(place: str) -> str:
    """Return the way from a page to the root of the pages."""
    return "../" * place.count("/")


def files() -> Iterator[str]:
    """Yield the page that shows the files of deploy/."""
    yield "# Files for deployment\n\nThey are in `deploy/` of the repository."
    yield "[Deployment](../deployment.md) explains them.\n"
    kinds = {".yaml": "yaml", ".yml": "yaml", ".conf": "nginx", ".service": "ini", ".timer": "ini"}
    for path in sorted((ROOT / "deploy").rglob("*")):
        if path.is_file() and path.suffix != ".json" and "test" not in path.name:
            name = path.relative_to(ROOT).as_posix()
            anchor = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
            kind = kinds.get(path.suffix, "docker" if path.name == "Dockerfile" else "text")
            yield f"({anchor})=\n## {name}\n\n```{kind}\n{path.read_text('utf-8').rstrip()}\n```\n"


def for_machines(source: Path) -> Iterator[str]:
    """Yield llms.txt: the title and the first sentence of each page."""
    yield "# zato-lite\n"
    yield "> An asyncio microservice framework for Python with a durable scheduler inside.\n"
    yield "## Pages\n"
    for page in sorted(source.rglob("*.md")):
        text = page.read_text("utf-8")
        place = page.relative_to(source).with_suffix(".html").as_posix()
        if not place.startswith(("decisions/", "index")):
            title = re.search(r"^# (.+)$", text, re.MULTILINE)
            words = re.search(
                r"^(?![#(`|\-\[!:{])(\S.+?)(?:[.:](?:\s|$)|\n\n)", text, re.MULTILINE | re.DOTALL
            )
            first = " ".join(words[1].split()) if words else ""
            yield f"- [{title[1] if title else place}]({place}): {first}"
    yield ""


def write(path: Path, text: str) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.exit(main())
