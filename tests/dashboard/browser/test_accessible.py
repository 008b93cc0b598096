"""Each page and dialog in each look, on a desk and on a phone: axe finds nothing."""

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.dashboard.browser.axe import violations
from tests.dashboard.browser.conftest import (
    Server,
    expect_trouble,
    opened,
    settle,
    sign_in,
    wait_for,
)

DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": DESK},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE},
    "phone-dark": {"viewport": PHONE, "color_scheme": "dark"},
    "forced-colors": {"viewport": DESK, "forced_colors": "active"},
    "zoomed": {"viewport": {"width": 640, "height": 430}, "device_scale_factor": 2},
}
RARE = ("phone-dark", "forced-colors", "zoomed")
EACH_LOOK = ["light", "dark", "phone", *(pytest.param(it, marks=pytest.mark.slow) for it in RARE)]
CALENDAR = {"name": "PL", "weekdays": [6], "yearly": ["12-25"]}


@pytest.fixture(scope="module")
def pages(server: Server) -> list[str]:
    """Return the addresses of all pages, with something on each."""
    server.invoke("zato.scheduler.calendar.create", CALENDAR)
    failing = server.job("failing", "shop.fails", seconds=2, minutes=0)
    cron: dict[str, Any] = {
        "job_type": "cron_style",
        "cron_definition": "30 2 * * *",
        "minutes": None,
    }
    nightly = server.job("nightly", timezone="Europe/Warsaw", calendar="PL", **cron)
    server.invoke("zato.scheduler.job.pause", {"id": nightly, "note": "waiting for the bank"})
    server.job("plain")
    server.user("vera", "viewer")
    key = {"name": "crm", "roles": ["operator"], "patterns": ["shop.*"], "days": 5}
    server.invoke("zato.security.key.create", key)
    history = {"id": failing, "outcomes": ["error"]}
    wait_for(lambda: server.invoke("zato.scheduler.job.get-history", history)["total"])
    job = f"/jobs/{failing}"
    return [
        "/jobs", "/jobs?q=zzz", "/jobs/new", job, f"{job}/upcoming", f"{job}/calendar",
        f"{job}/definition", f"{job}/audit", f"{job}/edit", f"{job}/runs/1", f"/jobs/{nightly}",
        "/jobs/99999", "/runs", "/services", "/services/shop.fails", "/calendars/PL", "/nodes",
        "/people", "/audit", f"/jobs?why=latest&why_job={nightly}", f"/jobs/{nightly}/upcoming",
    ]  # fmt: skip


@pytest.mark.parametrize("look", EACH_LOOK)
def test_pages_are_accessible(
    browser: Browser, server: Server, pages: list[str], look: str
) -> None:
    found: dict[str, list[str]] = {}
    with opened(browser, server, **LOOKS[look]) as (_, page):
        sign_in(page, server, pages[0])
        expect_trouble(page, "status of 404")  # of the job that does not exist
        for path in pages:
            page.goto(f"{server.url}/dashboard{path}")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            settle(page)
            found[path] = violations(page)
            width = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if width > 0:
                found[path].append(f"scrolls sideways by {width}")

    problems = [f"{path}: {text}" for path, texts in found.items() for text in texts]
    assert problems == []


@pytest.mark.parametrize("look", ["light", "dark"])
def test_a_disabled_button_can_be_read_under_the_pointer(
    browser: Browser, server: Server, pages: list[str], look: str
) -> None:
    with opened(browser, server, **LOOKS[look]) as (_, page):
        sign_in(page, server, "/jobs/new")
        expect_trouble(page, "status of 400")
        button = page.get_by_role("button", name="Create job")
        button.click()
        expect(button).to_have_attribute("aria-disabled", "true")
        button.hover()
        background = button.evaluate("it => getComputedStyle(it).backgroundColor")
        page.mouse.move(0, 0)
        expect(button).to_have_css("background-color", background)


@pytest.mark.parametrize("look", EACH_LOOK)
def test_dialogs_are_accessible(
    browser: Browser, server: Server, pages: list[str], look: str
) -> None:
    job = pages[3]
    dialogs = {
        job: ["Pause …", "More>Backfill …", "More>Copy as …", "More>Delete …"],
        "/jobs": ["Import and export>Import …"],
        "/people": ["New user", "New key", "What to do with crm>Rotate …"],
        "/calendars/PL": ["New calendar", "Edit", "More about the calendar>Rename …"],
        "/nodes": ["Pause all …", "Back up …"],
    }
    found: dict[str, list[str]] = {}
    with opened(browser, server, **LOOKS[look]) as (_, page):
        sign_in(page, server, "/jobs")
        for path, names in dialogs.items():
            for name in names:
                page.goto(f"{server.url}/dashboard{path}")
                settle(page)
                for part in name.split(">"):
                    button = page.get_by_role("button", name=part, exact=True)
                    item = page.get_by_role("menuitem", name=part)
                    button.or_(item).last.click()
                expect(page.get_by_role("dialog")).to_be_visible()
                settle(page)
                found[f"{path} {name}"] = violations(page)

    problems = [f"{name}: {text}" for name, texts in found.items() for text in texts]
    assert problems == []
