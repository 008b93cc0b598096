import re
from functools import partial
from typing import Any

from playwright.sync_api import Page, expect

from tests.dashboard.browser.conftest import Server, expect_trouble, wait_for

JOB = "zato.scheduler.job."


def failures(server: Server, job: int) -> int:
    """Return the number of failed runs of a job."""
    found = server.invoke(f"{JOB}get-history", {"id": job, "outcomes": ["error"]})
    return int(found["total"])


def test_a_run_is_watched_cancelled_and_retried(signed_in: Page, server: Server) -> None:
    page = signed_in
    job = server.job("long", "shop.slow", hours=100, minutes=0)
    page.goto(f"{server.url}/dashboard/jobs/{job}")

    page.get_by_role("button", name="Run now").click()
    page.get_by_role("button", name="Open it").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Run 1")
    log = page.get_by_role("log")
    expect(log).to_contain_text("step 3")
    expect(log).to_contain_text("step 8")
    page.get_by_role("searchbox", name="Search the log").fill("step 2")
    expect(log).not_to_contain_text("step 3")
    page.get_by_role("button", name="Cancel …").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel the run").click()
    expect(page.get_by_text("the run has ended")).to_be_visible()
    expect(page.locator(".lead")).to_contain_text("cancelled")
    page.get_by_role("button", name="Retry").click()

    expect(page).to_have_url(re.compile(f"/jobs/{job}/runs/2$"))
    expect(page.get_by_role("log")).to_contain_text("step 1")
    page.keyboard.press("k")
    expect(page).to_have_url(re.compile(f"/jobs/{job}/runs/1$"))
    server.invoke(f"{JOB}delete", {"id": job})


def test_a_failed_run_shows_its_error_and_attempts(signed_in: Page, server: Server) -> None:
    page = signed_in
    fields: dict[str, Any] = {"max_retries": 1, "retry_delay_ms": 200, "hours": 100, "minutes": 0}
    job = server.job("failing", "shop.fails", **fields)
    server.invoke(f"{JOB}execute", {"id": job})
    wait_for(partial(failures, server, job))

    page.goto(f"{server.url}/dashboard/jobs/{job}/runs/1")

    error = page.get_by_role("region", name="Error")
    expect(error).to_contain_text("ConnectionError: partner.example refused the connection")
    shown = error.locator("pre").first
    expect(shown).to_contain_text("shop.py")
    expect(shown).not_to_contain_text("tasks.py")  # frames of libraries are folded
    error.get_by_text("With 1 frame of libraries").click()
    expect(error.locator("pre").last).to_contain_text("tasks.py")
    expect(error).not_to_contain_text("zato_lite")
    spans = page.get_by_role("region", name="Where the time went").locator(".spans")
    expect(spans).to_contain_text("attempt 1")
    expect(spans).to_contain_text("attempt 2")


def test_runs_of_all_jobs_are_filtered_and_retried_together(
    signed_in: Page, server: Server
) -> None:
    page = signed_in
    jobs = [server.job(f"broken-{n}", "shop.fails", hours=100, minutes=0) for n in range(3)]
    for job in jobs:
        server.invoke(f"{JOB}execute", {"id": job})
        wait_for(partial(failures, server, job))

    page.goto(f"{server.url}/dashboard/runs?q=broken")
    page.get_by_role("group", name="Outcomes").get_by_role("button", name="error").click()
    expect(page.get_by_text("3 runs, all that are kept.")).to_be_visible()
    page.get_by_label("Select all 3 that are shown").check()
    page.get_by_role("button", name="Retry …").click()
    page.get_by_role("dialog", name="Retry 3 runs?").get_by_role("button", name="Retry").click()

    expect(page.get_by_text("3 runs retried.")).to_be_visible()
    history = {"id": jobs[0]}
    wait_for(lambda: server.invoke(f"{JOB}get-history", history)["total"] == 2)


def test_a_typed_service_is_invoked_from_its_form(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.goto(f"{server.url}/dashboard/services/demo.sleep")

    seconds = page.get_by_label("seconds", exact=True)
    seconds.fill("soon")
    page.get_by_role("button", name="Invoke", exact=True).click()
    expect(page.get_by_text("A number is expected.")).to_be_visible()
    expect_trouble(page, "status of 400")
    seconds.fill("-1")
    page.get_by_role("button", name="Invoke", exact=True).click()
    expect(seconds).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#in-seconds-error")).to_contain_text("a number from 0")
    seconds.fill("0")
    page.get_by_label("jitter", exact=True).fill("0")
    page.get_by_role("button", name="Invoke", exact=True).click()

    expect(page.locator(".answer")).to_contain_text("200")
    page.get_by_role("link", name="Schedule it").click()
    expect(page.get_by_label("Service", exact=True)).to_have_value("demo.sleep")


def test_big_numbers_of_an_answer_are_shown_unchanged(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.goto(f"{server.url}/dashboard/services/demo.echo")

    page.get_by_label("Payload, as JSON").fill('{"big": 9007199254740993, "part": 1.0}')
    page.get_by_role("button", name="Invoke", exact=True).click()

    expect(page.locator(".answer pre")).to_contain_text("9007199254740993")
