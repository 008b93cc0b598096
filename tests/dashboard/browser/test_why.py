import re
import signal
from collections.abc import Callable
from time import sleep
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.browser.conftest import Server, expect_trouble, wait_for

JOB = "zato.scheduler.job."
CRON: dict[str, Any] = {"job_type": "cron_style", "minutes": None}
Ask = Callable[[int, str], Locator]


@pytest.fixture
def why(signed_in: Page, server: Server) -> Ask:
    """Return a function that opens the panel of a job and an instant, and its sentence."""

    def ask(job: int, at: str) -> Locator:
        signed_in.goto(f"{server.url}/dashboard/jobs/{job}?why={at}&why_job={job}")
        return signed_in.get_by_role("dialog", name="Why").locator(".why-sentence")

    return ask


def ledger(server: Server, job: int, outcome: str) -> dict[str, Any]:
    """Wait for slots of a job without a run."""

    def find() -> Any:
        rows = server.invoke(f"{JOB}get-ledger", {"id": job})["rows"]
        return next((row for row in rows if row["outcome"] == outcome), None)

    found: dict[str, Any] = wait_for(find, 20)
    return found


def url_time(iso: str) -> str:
    return iso.replace("+", "%2B")


def test_a_skipped_slot_names_the_run_in_its_way(
    why: Ask, signed_in: Page, server: Server
) -> None:
    job = server.job("long", "shop.slow", minutes=0, seconds=2)
    slot = ledger(server, job, "skipped_already_in_flight")["first_iso"]

    sentence = why(job, url_time(slot))

    expect(sentence).to_contain_text("skipped")
    expect(sentence).to_contain_text("still in flight")
    panel = signed_in.get_by_role("dialog", name="Why")
    panel.get_by_role("link", name=re.compile("#1|run 1", re.IGNORECASE)).first.click()
    expect(signed_in).to_have_url(re.compile(f"/jobs/{job}/runs/1"))
    server.invoke(f"{JOB}delete", {"id": job})


def test_a_paused_slot_names_who_paused_and_why(why: Ask, signed_in: Page, server: Server) -> None:
    job = server.job("held", minutes=0, seconds=1)
    server.invoke(f"{JOB}pause", {"id": job, "note": "waiting for the bank"})
    sleep(2.1)  # a slot has passed
    slot = server.invoke("zato.scheduler.status")["now"][:19] + "+00:00"

    sentence = why(job, url_time(slot))

    expect(sentence).to_contain_text("paused")
    panel = signed_in.get_by_role("dialog", name="Why")
    expect(panel).to_contain_text("admin.invoke")
    expect(panel).to_contain_text("waiting for the bank")
    panel.get_by_role("button", name="Resume", exact=False).first.click()
    wait_for(lambda: server.invoke(f"{JOB}get-by-id", {"id": job})["is_active"])


def test_a_missed_slot_says_when_the_server_was_down(
    why: Ask, signed_in: Page, server: Server
) -> None:
    job = server.job("frequent", minutes=0, seconds=1, on_missed="skip")
    wait_for(lambda: server.invoke(f"{JOB}get-history", {"id": job})["total"])
    expect_trouble(signed_in, "")
    server.stop(signal.SIGKILL)
    sleep(3)  # some slots pass
    expect(signed_in.get_by_text(re.compile("Not connected since"))).to_be_visible(timeout=15_000)
    server.start()
    expect(signed_in.get_by_role("button", name="Live", exact=True)).to_be_visible(timeout=30_000)
    sleep(1)
    slot = ledger(server, job, "missed")["first_iso"]

    sentence = why(job, url_time(slot))

    expect(sentence).to_contain_text("missed")
    server.invoke(f"{JOB}delete", {"id": job})


def test_instants_without_a_slot_are_explained(why: Ask, server: Server) -> None:
    daily = server.job("daily", cron_definition="30 2 * * *", timezone="Europe/Warsaw", **CRON)

    expect(why(daily, "2025-01-01T02:30:00")).to_contain_text("before its start")
    expect(why(daily, "2026-03-01T03:00:00")).to_contain_text("not on its schedule")
    expect(why(daily, "2026-03-01T02:30:00")).to_contain_text("before it existed")
    expect(why(daily, "2036-03-01T02:30:00")).to_contain_text("not yet")


def test_an_excluded_slot_names_the_calendar_and_the_day(
    why: Ask, signed_in: Page, server: Server
) -> None:
    days = {"first": "2020-01-01", "last": "2099-12-31", "reason": "renovation"}
    server.invoke("zato.scheduler.calendar.create", {"name": "closed", "ranges": [days]})
    job = server.job("closed", minutes=0, seconds=1, calendar="closed")
    sleep(2.1)  # a slot has passed
    slot = server.invoke("zato.scheduler.status")["now"][:19] + "+00:00"

    sentence = why(job, url_time(slot))

    expect(sentence).to_contain_text("excluded")
    expect(sentence).to_contain_text("Calendar closed: renovation")
    panel = signed_in.get_by_role("dialog", name="Why")
    expect(panel.get_by_role("link", name="closed", exact=True).last).to_have_attribute(
        "href", "/dashboard/calendars/closed"
    )
    server.invoke(f"{JOB}delete", {"id": job})


def test_a_slot_that_the_history_no_longer_has_says_how_much_is_kept(
    why: Ask, signed_in: Page, server: Server
) -> None:
    job = server.job("forgetful", minutes=0, seconds=1, keep_runs=1)
    history = {"id": job}
    [first, *_] = wait_for(lambda: server.invoke(f"{JOB}get-history", history)["rows"])
    slot = first["planned_fire_time_iso"]

    def is_gone() -> bool:
        rows = server.invoke(f"{JOB}get-history", history)["rows"]
        return all(row["planned_fire_time_iso"] != slot for row in rows)

    wait_for(is_gone, 90)

    sentence = why(job, url_time(slot))

    expect(sentence).to_contain_text("no record")
    expect(signed_in.get_by_role("dialog", name="Why")).to_contain_text("1 run")
    server.invoke(f"{JOB}delete", {"id": job})


def test_the_slots_before_and_after_are_a_press_away(
    why: Ask, signed_in: Page, server: Server
) -> None:
    job = server.job("steady", hours=1, minutes=0)

    sentence = why(job, "latest")
    panel = signed_in.get_by_role("dialog", name="Why")
    expect(sentence).to_be_visible()
    expect(signed_in).not_to_have_url(re.compile("why=latest"))
    expect(panel.get_by_label("At")).to_have_value(re.compile(r"T\d\d:00$"))  # the latest slot
    before = panel.get_by_label("At").input_value()
    panel.get_by_role("button", name="Slot before").click()
    expect(panel.get_by_label("At")).not_to_have_value(before)
    panel.get_by_role("button", name="Slot after").click()
    expect(panel.get_by_label("At")).to_have_value(before)
    signed_in.keyboard.press("Escape")
    expect(panel).to_have_count(0)
    assert "why" not in signed_in.url
