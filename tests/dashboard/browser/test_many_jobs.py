"""The pages of a server with 10,000 jobs, ten of which run each second."""

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.browser.conftest import Server, sign_in, wait_for

JOBS, AREAS = 10_000, 8
MATCHING = JOBS // AREAS
DAILY = {"job_type": "interval_based", "hours": 100, "start_date": "2026-01-01 00:00:00"}
FAST: dict[str, Any] = {"minutes": None, "seconds": 1}


@pytest.fixture(scope="module", autouse=True)
def jobs(server: Server) -> None:
    many = [
        {**DAILY, "name": f"area{n % AREAS}.deed-{n:05}", "service": "shop.hello"}
        for n in range(JOBS)
    ]
    for at in range(0, JOBS, 2_500):
        server.invoke("zato.scheduler.job.create-many", {"jobs": many[at : at + 2_500]})
    for number in range(10):
        server.job(f"a.tick-{number}", **FAST)


def first_row(page: Page) -> str:
    """Return the first job below the heading that sticks to the top of the window."""
    found = page.evaluate(
        """() => [...document.querySelectorAll("tbody td.name a")]
            .find((link) => link.getBoundingClientRect().top > 150)?.textContent"""
    )
    return str(found)


def test_filter_order_and_place_are_kept_by_back_and_by_a_reload(
    page: Page, server: Server
) -> None:
    sign_in(page, server, "/jobs")
    expect(page.get_by_role("table", name="Jobs")).to_be_visible()
    page.keyboard.press("f")
    page.keyboard.type("area3")
    expect(page.get_by_text(f"{MATCHING:,} jobs match")).to_be_visible()
    heading = page.get_by_role("columnheader", name="Job", exact=True)
    heading.get_by_role("button").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    page.mouse.move(640, 500)
    page.mouse.wheel(0, 30_000)
    expect(page.get_by_role("link", name="area3.deed-04795")).to_be_visible()
    there, address = first_row(page), page.url

    page.get_by_role("link", name="area3.deed-04795").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("area3.deed-04795")
    page.go_back()
    wait_for(lambda: first_row(page) == there)
    assert page.url == address
    page.reload()
    wait_for(lambda: first_row(page) == there)
    assert page.url == address
    expect(page.get_by_label("Filter jobs")).to_have_value("area3")
    expect(heading).to_have_attribute("aria-sort", "descending")


def test_all_that_match_are_paused_though_few_rows_exist(page: Page, server: Server) -> None:
    sign_in(page, server, "/jobs?q=area5")

    page.get_by_label(f"Select all {MATCHING:,} that match").check()
    page.get_by_role("button", name="Pause …").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Note").fill("maintenance")
    dialog.get_by_role("button", name=f"Pause {MATCHING:,} jobs").click()

    expect(page.get_by_text(f"{MATCHING:,} jobs paused.")).to_be_visible()
    assert page.locator("tbody tr").count() < 80
    paused = server.invoke("zato.scheduler.job.get-list", {"state": "paused"})
    assert {job["name"][:5] for job in paused} == {"area5"}
    assert len(paused) == MATCHING


def test_focus_selection_and_order_survive_twenty_events_a_second(
    page: Page, server: Server
) -> None:
    sign_in(page, server, "/jobs?q=a.tick")
    expect(page.get_by_text("10 jobs match")).to_be_visible()
    page.get_by_label("Select a.tick-2").check()
    link = page.get_by_role("link", name="a.tick-6")
    link.focus()
    names = page.locator("tbody td.name a").all_inner_texts()
    times = page.locator("tbody td.name time")
    before = times.first.get_attribute("datetime") or ""

    page.wait_for_timeout(4_000)  # some 80 events

    expect(times.first).not_to_have_attribute("datetime", before)
    expect(link).to_be_focused()
    expect(page.get_by_label("Select a.tick-2")).to_be_checked()
    assert page.locator("tbody td.name a").all_inner_texts() == names


def test_a_timeline_of_few_among_many_asks_for_events_of_its_jobs_only(
    page: Page, server: Server
) -> None:
    with page.expect_request(re.compile("/zato/events.*ids=")) as stream:
        sign_in(page, server, "/?order=name&span=60s")
    ids = re.search(r"ids=([\d,%C]+)", stream.value.url)
    assert ids is not None
    shown = page.locator(".lane-names a").evaluate_all(
        "links => links.map((link) => Number(link.pathname.split('/').pop()))"
    )
    asked = [int(each) for each in ids[1].replace("%2C", ",").split(",")]
    assert asked == sorted(shown)
    canvas = page.locator(".timeline canvas")
    before = canvas.get_attribute("aria-label") or ""
    expect(canvas).not_to_have_attribute("aria-label", before)  # events still come
