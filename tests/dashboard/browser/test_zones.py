"""Times of a job in Warsaw, in browsers elsewhere, over both nights when its clock changes."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser.conftest import Server, opened, sign_in
from zato_lite.clock import SystemClock
from zato_lite.timetable.zone import to_datetime

WARSAW = ZoneInfo("Europe/Warsaw")
CRON: dict[str, Any] = {
    "job_type": "cron_style",
    "cron_definition": "30 2 * * *",
    "minutes": None,
    "timezone": "Europe/Warsaw",
}


def clock_changes() -> tuple[datetime, datetime]:
    """Return the next instants at which Warsaw's clock goes forward and back."""
    found: dict[bool, datetime] = {}
    at = to_datetime(SystemClock().now()).replace(minute=0, second=0, microsecond=0)
    while len(found) < 2:
        before, at = at, at + timedelta(hours=1)
        step = offset(at) - offset(before)
        if step:
            found.setdefault(step > timedelta(), at)
    return found[True], found[False]


def offset(at: datetime) -> timedelta:
    return at.astimezone(WARSAW).utcoffset() or timedelta()


def shown(at: datetime, zone: str) -> str:
    """Return an instant as the list of slots shows it: far from now with its year."""
    local = at.astimezone(ZoneInfo(zone))
    is_far = abs(at - to_datetime(SystemClock().now())) >= timedelta(days=300)
    day = f"{local.day} {local:%b %Y}" if is_far else f"{local:%a} {local.day} {local:%b}"
    return f"{day} {local:%H:%M}"


@pytest.fixture(scope="module")
def nightly(server: Server) -> int:
    return server.job("nightly", **CRON)


def nights(page: Page) -> list[str]:
    """Return the slots of the nights when the clock changes, each with its remark."""
    card = page.get_by_role("region", name="Nights when the clock changes, and days off")
    expect(card.locator("li")).to_have_count(2)
    return [
        " ".join(item.locator("span, b").all_inner_texts()) for item in card.locator("li").all()
    ]


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_both_nights_are_right_in_each_zone_that_the_switch_offers(
    browser: Browser, server: Server, nightly: int, zone: str
) -> None:
    forward, back = clock_changes()
    # 02:30 does not exist in the one night: the job runs at 03:00. In the other, it runs the
    # first time that the clock shows 02:30.
    slots = sorted([(forward, "does not exist"), (back - timedelta(minutes=30), "comes twice")])
    city = zone.partition("/")[2].replace("_", " ")
    with opened(browser, server, timezone_id=zone) as (_, page):
        sign_in(page, server, f"/jobs/{nightly}/upcoming")
        switch = page.get_by_role("group", name="Times are shown in")
        for button, name, label in (
            ("Job", "Europe/Warsaw", "Warsaw"),
            (city, zone, city),
            ("UTC", "UTC", "UTC"),
        ):
            switch.get_by_role("button", name=button, exact=True).click()
            next_slots = page.get_by_role("region", name="Next slots")
            expect(next_slots.get_by_role("heading").locator("..")).to_contain_text(label)
            for text, (at, remark) in zip(nights(page), slots, strict=True):
                assert text.startswith(shown(at, name)), (name, text)
                assert remark in text
                if name != "Europe/Warsaw":
                    assert f"{at.astimezone(WARSAW):%H:%M} Warsaw" in text


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/New_York"])
def test_why_says_the_zone_of_its_instant_in_both_nights(
    browser: Browser, server: Server, nightly: int, zone: str
) -> None:
    with opened(browser, server, timezone_id=zone) as (_, page):
        sign_in(page, server, "/")
        for at in clock_changes():
            stamp = f"{at:%Y-%m-%dT%H:%M:%SZ}"
            page.goto(f"{server.url}/dashboard/?why={stamp}&why_job={nightly}")
            panel = page.get_by_role("dialog", name="Why")
            local = at.astimezone(ZoneInfo(zone))
            expect(panel.get_by_label("At")).to_have_value(f"{local:%Y-%m-%dT%H:%M}")
            expect(panel).to_contain_text(f"in {zone.partition('/')[2].replace('_', ' ')}")
            title = panel.locator("time").first.get_attribute("title") or ""
            warsaw = at.astimezone(WARSAW)
            assert f"{warsaw:%H:%M:%S} Europe/Warsaw (UTC+{offset(at).seconds // 3600})" in title


def test_an_edit_in_another_zone_moves_no_slot(browser: Browser, server: Server) -> None:
    fixed = server.job(
        "grid", hours=6, minutes=None, start_date="2026-03-29 00:30:15", timezone="Europe/Warsaw"
    )
    before = server.invoke("zato.scheduler.job.get-by-id", {"id": fixed})
    with opened(browser, server, timezone_id="Asia/Tokyo") as (_, page):
        sign_in(page, server, f"/jobs/{fixed}/edit")
        page.get_by_label("Retries", exact=True).fill("2")
        page.get_by_role("button", name="Save 1 change").click()
        expect(page).to_have_url(f"{server.url}/dashboard/jobs/{fixed}")

    after = server.invoke("zato.scheduler.job.get-by-id", {"id": fixed})
    assert (after["start_date"], after["max_retries"]) == (before["start_date"], 2)


def test_a_browser_in_utc_is_offered_utc_once(browser: Browser, server: Server) -> None:
    with opened(browser, server, timezone_id="UTC") as (_, page):
        sign_in(page, server, "/")
        switch = page.get_by_role("group", name="Times are shown in")
        expect(switch.get_by_role("button")).to_have_text(["Job", "UTC"])
