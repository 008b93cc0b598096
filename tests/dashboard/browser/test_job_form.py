import json
import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser.conftest import Server, expect_trouble, opened, sign_in

BIG = '{"big": 9007199254740993, "small": 1.50}'


def open_form(page: Page, server: Server, path: str = "/jobs/new") -> None:
    page.goto(f"{server.url}/dashboard{path}")
    expect(page.get_by_label("Name", exact=True)).to_be_visible()


def test_a_wrong_cron_expression_is_mended_and_the_job_ticks(
    signed_in: Page, server: Server
) -> None:
    page = signed_in
    open_form(page, server)

    page.get_by_label("Name", exact=True).fill("nightly")
    page.get_by_label("Service", exact=True).fill("shop.hello")
    page.get_by_role("button", name="Cron").click()
    page.get_by_label("Cron expression").fill("30 25 * * *")
    expect(page.get_by_text("hour is 0-23")).to_be_visible()
    expect(page.get_by_label("Cron expression")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("button", name="Create job")).to_have_attribute(
        "aria-disabled", "true"
    )
    page.get_by_label("Cron expression").fill("30 2 * * *")
    page.get_by_label("Time zone").fill("Europe/Warsaw")

    preview = page.get_by_role("complementary", name="Preview")
    expect(preview).to_contain_text("Every day at 02:30")
    expect(preview.locator(".slots").first.locator("li")).to_have_count(10)
    expect(preview.locator(".noted")).not_to_have_count(0)  # the nights of the clock
    page.get_by_role("button", name="Create job").click()
    expect(page).to_have_url(re.compile(r"/dashboard/jobs/\d+$"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("nightly")
    expect(page.get_by_role("region", name="Runs and slots")).to_contain_text("coming")


def test_a_job_is_made_by_keyboard_alone(signed_in: Page, server: Server) -> None:
    page = signed_in

    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_contain_text("New job")
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.type("typed")
    page.keyboard.press("Tab")
    page.keyboard.type("shop.he")
    expect(page.get_by_role("option", name="shop.hello")).to_be_visible()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_label("Service", exact=True)).to_have_value("shop.hello")
    while page.evaluate("document.activeElement.id") != "f-every":
        page.keyboard.press("Tab")
    page.keyboard.type("1 our")
    expect(page.locator("#f-every-error")).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.type("90 s")
    expect(page.get_by_role("complementary", name="Preview")).to_contain_text(
        "Every 1 minute 30 seconds"
    )
    page.keyboard.press("Control+s")

    expect(page).to_have_url(re.compile(r"/dashboard/jobs/\d+$"))
    [job] = server.invoke("zato.scheduler.job.get-list", {"query": "typed"})
    assert (job["service"], job["minutes"], job["seconds"]) == ("shop.hello", 1, 30)


def test_the_form_works_on_a_phone(browser: Browser, server: Server) -> None:
    with opened(browser, server, viewport={"width": 390, "height": 844}) as (_, page):
        sign_in(page, server, "/jobs/new")
        page.get_by_label("Name", exact=True).fill("on a phone")
        page.get_by_label("Service", exact=True).fill("shop.hello")
        page.get_by_label("Every", exact=True).fill("2 h")
        expect(page.get_by_text("Every 2 hours")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_role("button", name="Create job").click()
        expect(page.get_by_role("heading", level=1)).to_contain_text("on a phone")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_numbers_beyond_53_bits_survive_an_edit(signed_in: Page, server: Server) -> None:
    page = signed_in
    job = server.job("big numbers", extra=BIG)
    open_form(page, server, f"/jobs/{job}/edit")

    expect(page.get_by_label(re.compile("^Payload"))).to_have_value(BIG)
    page.get_by_role("button", name="Format").click()
    page.get_by_label("Retries", exact=True).fill("2")
    page.get_by_role("button", name="Save 2 changes").click()
    expect(page).to_have_url(f"{server.url}/dashboard/jobs/{job}")

    saved = server.invoke("zato.scheduler.job.get-by-id", {"id": job})
    assert "9007199254740993" in saved["extra"]
    assert "1.50" in saved["extra"]
    assert saved["max_retries"] == 2


def test_both_versions_are_shown_if_another_has_saved_the_job(
    signed_in: Page, server: Server
) -> None:
    page = signed_in
    job = server.job("contested", max_retries=1)
    open_form(page, server, f"/jobs/{job}/edit")
    page.get_by_label("Retries", exact=True).fill("5")
    expect(page.get_by_role("button", name="Save 1 change")).to_be_enabled()
    server.invoke("zato.scheduler.job.edit", {"id": job, "minutes": 7, "max_retries": 3})

    expect_trouble(page, "status of 409")
    preview = page.get_by_role("complementary", name="Preview")
    expect(preview).to_contain_text("1 field")
    page.get_by_role("button", name="Save 1 change").click()
    conflict = page.get_by_role("alert").filter(has_text="Somebody else has saved")
    expect(conflict.get_by_role("row").filter(has_text="Retries")).to_have_text(
        re.compile("Retries.*1.*3.*5")
    )
    conflict.get_by_role("button", name="Put mine on top of theirs").click()
    page.get_by_role("button", name="Save 1 change").click()
    expect(page).to_have_url(f"{server.url}/dashboard/jobs/{job}")

    saved = server.invoke("zato.scheduler.job.get-by-id", {"id": job})
    assert (saved["minutes"], saved["max_retries"]) == (7, 5)


def test_unsaved_work_is_not_lost_by_a_link(signed_in: Page, server: Server) -> None:
    page = signed_in
    open_form(page, server)
    page.get_by_label("Name", exact=True).fill("half")

    page.get_by_role("link", name="Runs").click()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    dialog.get_by_role("button", name="Stay").click()

    expect(page.get_by_label("Name", exact=True)).to_have_value("half")
    page.get_by_role("link", name="Runs").click()
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Runs")


def test_unsaved_work_is_not_lost_by_back(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.get_by_role("link", name="Jobs", exact=False).first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    page.get_by_role("link", name="New job").first.click()
    page.get_by_label("Name", exact=True).fill("half")

    page.go_back()
    dialog = page.get_by_role("dialog", name="Leave without saving?")
    dialog.get_by_role("button", name="Stay").click()

    expect(page).to_have_url(f"{server.url}/dashboard/jobs/new")
    expect(page.get_by_label("Name", exact=True)).to_have_value("half")
    page.go_back()
    page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    expect(page).to_have_url(f"{server.url}/dashboard/jobs")
    expect(page.get_by_role("heading", level=1)).to_have_text("Jobs")
    page.get_by_role("link", name="New job").first.click()
    expect(page.get_by_label("Name", exact=True)).to_have_value("")


WRITE_ANEW = """(field) => {
  field.value = "2026-02-01T00:30";
  field.dispatchEvent(new InputEvent("input", { bubbles: true }));
}"""
"""What Firefox does with a time when its field is left."""


def test_a_range_is_backfilled_after_its_count_was_shown(signed_in: Page, server: Server) -> None:
    page = signed_in
    job = server.job("refill", minutes=10)
    page.goto(f"{server.url}/dashboard/jobs/{job}")

    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Backfill").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Start")).to_have_attribute("aria-disabled", "true")
    dialog.get_by_label("From").fill("2026-02-01T00:00:00")
    dialog.get_by_label("To", exact=True).fill("2026-02-01T00:30:00")
    expect(dialog.get_by_role("status")).to_contain_text("4 slots get a run")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    dialog.get_by_label("To", exact=True).evaluate(WRITE_ANEW)
    page.wait_for_timeout(500)
    assert "zato.scheduler.job.backfill" not in asked  # the count stays, and its button
    dialog.get_by_role("button", name="Start 4 runs").click()
    expect(dialog).to_have_count(0)

    runs = server.invoke("zato.scheduler.job.get-history", {"id": job})["rows"]
    assert len([run for run in runs if run["kind"] == "backfill"]) == 4


@pytest.mark.parametrize("name", ["<img src=x onerror=alert(1)>", "\u202eevil\u202c", "x" * 200])
def test_hostile_names_are_inert(signed_in: Page, server: Server, name: str) -> None:
    page = signed_in
    safe = name if "\u202e" not in name else "evil"
    job = server.job(safe, extra="<script>alert(1)</script>", pause_note="")
    server.invoke("zato.scheduler.job.pause", {"id": job, "note": "<b onmouseover=alert(2)>"})

    for path in ("/jobs", f"/jobs/{job}", f"/jobs/{job}/definition", f"/jobs/{job}/edit"):
        page.goto(f"{server.url}/dashboard{path}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_timeout(300)
        assert page.locator("main img, main script").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto(f"{server.url}/dashboard/jobs")
    server.invoke("zato.scheduler.job.delete", {"id": job})


def test_a_period_is_one_change_and_a_copy_of_a_paused_job_says_so(
    signed_in: Page, server: Server
) -> None:
    page = signed_in
    job = server.job("periodic", minutes=0, seconds=30)
    server.invoke("zato.scheduler.job.pause", {"id": job})
    open_form(page, server, f"/jobs/{job}/edit")

    page.get_by_label("Every", exact=True).fill("2 min")
    preview = page.get_by_role("complementary", name="Preview")
    expect(preview.locator(".diff ins")).to_have_text('+ every: "2 min"')
    expect(preview.locator(".diff del")).to_contain_text('every: "30 s"')
    expect(page.get_by_role("button", name="Save 1 change")).to_be_enabled()
    page.get_by_label("Every", exact=True).fill("30 s")
    page.goto(f"{server.url}/dashboard/jobs/new?from={job}")

    expect(preview).to_contain_text("It is paused")
    page.get_by_label("Every", exact=True).fill("")
    expect(page.get_by_text("Say how often")).to_have_count(0)  # not before it is left
    expect_trouble(page, "status of 400")
    page.get_by_role("button", name="Create job").click()
    expect(page.get_by_text("Say how often")).to_be_visible()


def test_copied_code_is_the_form(signed_in: Page, server: Server) -> None:
    page = signed_in
    open_form(page, server)
    page.get_by_label("Name", exact=True).fill("it's")
    page.get_by_label("Service", exact=True).fill("shop.hello")
    page.get_by_label("Every", exact=True).fill("5 min")

    preview = page.get_by_role("complementary", name="Preview")
    expect(preview.locator("pre")).to_contain_text("zato-lite invoke zato.scheduler.job.create")
    preview.get_by_role("button", name="Python").click()
    text = preview.locator("pre").inner_text()
    assert text.startswith('await self.invoke("zato.scheduler.job.create", ')
    sent = json.loads(text.partition(", ")[2].rstrip(")"))
    assert (sent["name"], sent["every"]) == ("it's", "5 min")


def test_a_time_that_is_past_is_shown_with_its_year_and_with_what_follows(
    signed_in: Page, server: Server
) -> None:
    page = signed_in
    open_form(page, server)
    preview = page.get_by_role("complementary", name="Preview")
    page.get_by_label("Name", exact=True).fill("too late")
    page.get_by_label("Service", exact=True).fill("shop.hello")
    page.get_by_role("button", name="Once", exact=True).click()
    expect(preview).to_contain_text("No time is given: it would run as soon as it is created.")
    page.get_by_label("At", exact=True).fill("2020-01-02 10:00")
    page.get_by_label("Time zone").fill("UTC")

    expect(preview).to_contain_text("This time is past: it would run as soon as it is created.")
    expect(preview.locator(".slots")).to_contain_text("2 Jan 2020")
    page.get_by_label("Slots missed while down").select_option("do not run them")
    expect(preview).to_contain_text("it would never run, since missed slots are not run.")
