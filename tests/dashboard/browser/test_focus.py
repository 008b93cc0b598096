"""The focus goes to the heading of a new page, and stays where a user writes."""

import re

from playwright.sync_api import Page, Route, expect

from tests.dashboard.browser.conftest import Server, settle, sign_in

MODULE = re.compile(r"/jobs(-\w+)?\.js$")
"""Of the list of jobs, joined or not."""


def hold_jobs(page: Page) -> list[Route]:
    """Hold the module of the list of jobs back, as a slow network does; return its request."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(MODULE, hold)
    return held


def test_the_search_has_what_is_typed_after_its_key(page: Page, server: Server) -> None:
    sign_in(page, server)

    page.keyboard.press("/")
    page.keyboard.type("abc")

    expect(page.get_by_role("combobox")).to_have_value("abc")


def test_a_search_is_kept_from_page_to_page(signed_in: Page, server: Server) -> None:
    page = signed_in
    settle(page)
    held = hold_jobs(page)
    heading, search = page.get_by_role("heading", level=1), page.get_by_role("combobox")

    page.keyboard.press("g")
    page.keyboard.press("j")
    page.keyboard.press("/")
    page.keyboard.type("ne")  # n alone is a key of the page
    expect(heading).to_have_text("Loading")
    expect(search).to_have_value("ne")
    page.keyboard.type("xt")
    held[0].continue_()
    expect(heading).to_have_text("Jobs")
    page.keyboard.type(" job")

    expect(page.locator(".search input")).to_have_value("next job")
    expect(page).to_have_url(f"{server.url}/dashboard/jobs")


def test_the_heading_of_a_new_page_has_the_focus(signed_in: Page, server: Server) -> None:
    page = signed_in
    job = server.job("focused")
    settle(page)
    held = hold_jobs(page)
    heading = page.get_by_role("heading", level=1)

    page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs").click()
    expect(heading).to_have_text("Loading")
    held[0].continue_()
    expect(heading).to_have_text("Jobs")
    expect(heading).to_be_focused()
    page.get_by_role("link", name="focused").click()

    expect(page).to_have_url(f"{server.url}/dashboard/jobs/{job}")
    expect(heading).to_contain_text("focused")
    expect(heading).to_be_focused()
