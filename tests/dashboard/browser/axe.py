"""Accessibility: axe on a page, as a list of sentences."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """Return what axe finds on a page now, each with the first element concerned."""
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": _TAGS}})
    return [
        f"{item['id']}: {item['help']}: {node['html'][:300]} {node.get('failureSummary', '')}"
        for item in found.response["violations"]
        for node in item["nodes"][:3]
    ]
