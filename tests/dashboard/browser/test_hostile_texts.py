"""Texts that try to be markup, turn the direction of writing or are very long: all stay texts."""

import json
from functools import partial
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser.conftest import Server, opened, sign_in, wait_for

JOB = "zato.scheduler.job."
MARKUP = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
OVERRIDE = "\u202eevil \u2066"  # not ended: it would turn all that follows in its paragraph
HEBREW = "שלום עולם"
TEXT = f"{MARKUP} {OVERRIDE} \x00 {HEBREW} " + "x" * 200
NAME = f"{HEBREW} {MARKUP}" + "y" * 80

# Returns texts with letters or marks of another direction that reach the text beside them: without
# an element that isolates them, and not alone in their paragraph.
LEAKS = r"""() => {
  const turned = /[\u0590-\u08ff\u202a-\u202e\u2066-\u2069]/, found = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!turned.test(text.data)) continue;
    let it = text.parentElement, isSafe = ["TITLE", "OPTION", "TEXTAREA"].includes(it.tagName);
    while (!isSafe && it) {
      const style = getComputedStyle(it), isInline = style.display.startsWith("inline");
      isSafe = /isolate|plaintext/.test(style.unicodeBidi)
        || (!isInline && it.textContent.trim() === text.data.trim());
      if (!isInline) break;
      it = it.parentElement;
    }
    const box = text.parentElement.closest("svg, .sr");
    if (!isSafe && !box) found.push(`${text.parentElement.outerHTML.slice(0, 200)}`);
  }
  return found;
}"""


def ended(server: Server, job: int) -> bool:
    """Return True if a run of a job has ended."""
    history = {"id": job, "outcomes": ["ok", "error"]}
    return bool(server.invoke(f"{JOB}get-history", history)["total"])


@pytest.fixture(scope="module")
def paths(server: Server) -> list[str]:
    """Return the addresses of pages that show hostile texts."""
    rare: dict[str, Any] = {"hours": 100, "minutes": 0, "start_date": "2026-01-01 00:00:00"}
    extra = json.dumps({"text": TEXT})
    fields = {"description": f"{OVERRIDE} {MARKUP}", "tags": [HEBREW], **rare}
    job = server.job(NAME, "shop.hostile", extra=extra, **fields)
    server.invoke(f"{JOB}execute", {"id": job})
    failing = server.job(
        "שגיאה", "shop.hostile", extra=json.dumps({"text": TEXT, "fails": 1}), **rare
    )
    server.invoke(f"{JOB}execute", {"id": failing})
    server.invoke(f"{JOB}pause", {"id": job, "note": f"{OVERRIDE} {MARKUP} {HEBREW}"})
    for each in (job, failing):
        wait_for(partial(ended, server, each))
    return [
        "/", "/?table=1&order=name", "/jobs", f"/jobs/{job}", f"/jobs/{job}/upcoming",
        f"/jobs/{job}/calendar", f"/jobs/{job}/definition", f"/jobs/{job}/audit",
        f"/jobs/{job}/edit", f"/jobs/{job}/runs/1", f"/jobs/{failing}/runs/1", "/runs",
        "/services", "/services/shop.hostile", "/forecast", "/audit",
        f"/jobs?why=latest&why_job={job}",
    ]  # fmt: skip


@pytest.mark.parametrize("width", [1280, 390])
def test_hostile_texts_stay_texts_on_every_page(
    browser: Browser, server: Server, paths: list[str], width: int
) -> None:
    found: dict[str, list[str]] = {}
    with opened(browser, server, viewport={"width": width, "height": 860}) as (_, page):
        sign_in(page, server)
        for path in paths:
            page.goto(f"{server.url}/dashboard{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.locator(".skeleton, tr.waiting")).to_have_count(0)
            page.wait_for_timeout(200)
            found[path] = problems(page)

    assert {path: texts for path, texts in found.items() if texts} == {}


def problems(page: Page) -> list[str]:
    """Return what hostile texts have done to a page."""
    found: list[str] = page.evaluate(LEAKS)
    if page.locator("img, main script").count():
        found.append("an element was made of a text")
    if page.title() in {"1", "2"}:
        found.append("a script ran")
    width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    if width > 0:
        found.append(f"scrolls sideways by {width}")
    return found


def test_a_dialog_shows_hostile_texts_as_they_are(
    page: Page, server: Server, paths: list[str]
) -> None:
    sign_in(page, server, paths[3])

    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Delete …").click()

    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(MARKUP)
    assert problems(page) == []
