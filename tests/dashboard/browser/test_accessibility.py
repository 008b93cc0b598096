"""Accessibility of every page: axe in light and dark, on a phone, zoomed, with forced colours."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser.axe import violations
from tests.dashboard.browser.conftest import (
    SIGNED_OUT,
    Server,
    expect_trouble,
    opened,
    sign_in,
    wait_for,
)

LOOKS: dict[str, dict[str, Any]] = {
    "light": {"color_scheme": "light"},
    "dark": {"color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
    "dark phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    "zoomed": {"viewport": {"width": 640, "height": 430}, "device_scale_factor": 2},
    "forced colours": {"forced_colors": "active"},
    "less motion": {"reduced_motion": "reduce"},
}
PAGES = ("/", "/?table=1", "/?density=dense&history=7d", "/forecast")


@pytest.fixture(scope="module")
def jobs(server: Server) -> None:
    tick = server.job("billing.tick", minutes=None, seconds=1)
    server.job("billing.fail", "shop.fails", minutes=None, seconds=1)
    server.job("crm.paused", is_active=False)
    query = {"id": tick, "page_size": 5}
    wait_for(lambda: len(server.invoke("zato.scheduler.job.get-history", query)["rows"]) > 2)


@pytest.fixture(params=LOOKS, ids=lambda name: name.replace(" ", "-"))
def look(request: pytest.FixtureRequest) -> dict[str, Any]:
    return LOOKS[request.param]


def check(page: Page) -> None:
    """Check a page that has its data: axe, and no scrolling sideways."""
    page.wait_for_timeout(300)  # colours of fresh elements have no transition left
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_every_page_is_accessible(
    browser: Browser, server: Server, jobs: None, look: dict[str, Any]
) -> None:
    with opened(browser, server, **look) as (_, page):
        expect_trouble(page, SIGNED_OUT)
        page.goto(f"{server.url}/dashboard/login")
        page.get_by_label("Name").wait_for()
        check(page)
        sign_in(page, server)
        for path in PAGES:
            page.goto(f"{server.url}/dashboard{path}")
            page.get_by_role("heading", level=1).wait_for()
            expect(page.locator(".skeleton")).to_have_count(0)
            check(page)


Open = Callable[[Page], None]


def open_keys(page: Page) -> None:
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()


def open_account(page: Page) -> None:
    page.get_by_role("button", name=re.compile("your account")).click()
    page.get_by_role("menu").wait_for()


def open_search(page: Page) -> None:
    page.keyboard.press("/")
    page.keyboard.type("billing")
    page.get_by_role("option").first.wait_for()


def open_tip(page: Page) -> None:
    page.get_by_role("application").focus()
    page.keyboard.press("ArrowLeft")
    page.locator(".tip").wait_for()


def end_session(page: Page) -> None:
    expect_trouble(page, SIGNED_OUT)
    page.context.clear_cookies()
    open_keyword = page.get_by_role("combobox")
    open_keyword.fill("x")
    page.get_by_role("dialog", name="Your session has ended").wait_for()


@pytest.mark.parametrize(
    "open_part", [open_keys, open_account, open_search, open_tip, end_session]
)
@pytest.mark.parametrize("name", ["light", "dark phone"])
def test_what_opens_over_a_page_is_accessible(
    browser: Browser, server: Server, jobs: None, open_part: Open, name: str
) -> None:
    with opened(browser, server, **LOOKS[name]) as (_, page):
        sign_in(page, server)
        page.locator(".lane-names a").first.wait_for()

        open_part(page)

        check(page)
