import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.browser.conftest import Server, sign_in

HOURLY: dict[str, Any] = {
    "job_type": "cron_style",
    "cron_definition": "0 * * * *",
    "minutes": None,
}


@pytest.fixture(scope="module")
def hourly(server: Server) -> list[int]:
    """Create jobs that all start at the full hour."""
    return [server.job(f"reports.hourly-{i:02}", **HOURLY) for i in range(24)]


def definitions(server: Server, ids: list[int]) -> set[str]:
    asked = (server.invoke("zato.scheduler.job.get-by-id", {"id": number}) for number in ids)
    return {str(job["cron_definition"]) for job in asked}


def test_jobs_at_the_full_hour_are_spread_on_request(
    page: Page, server: Server, hourly: list[int]
) -> None:
    sign_in(page, server, "/forecast")
    collision = page.get_by_role("listitem").filter(has_text="minute 0 of every hour")
    expect(collision).to_contain_text("24 jobs start together")

    collision.get_by_role("button", name="Spread them").click()
    dialog = page.get_by_role("dialog", name=re.compile(r"Spread \d+ jobs\?"))
    expect(dialog.get_by_role("row")).not_to_have_count(1)
    dialog.get_by_role("button", name=re.compile("Change")).click()

    expect(page.get_by_role("status").filter(has_text="jobs changed")).to_be_visible()
    assert definitions(server, hourly) == {"H * * * *"}


def test_the_heat_map_speaks(page: Page, server: Server, hourly: list[int]) -> None:
    sign_in(page, server, "/forecast?days=3&show=runs")
    cells = page.get_by_role("table").get_by_role("button")
    expect(cells).to_have_count(72)

    cells.first.focus()
    page.keyboard.press("ArrowRight")

    expect(page.locator("#spoken")).to_contain_text(re.compile(r"about \d+ runs, .* at most"))
    expect(page.get_by_role("link", name="Show on the timeline")).to_be_visible()
