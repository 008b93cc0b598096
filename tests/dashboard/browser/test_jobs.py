import re
import time
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser.conftest import Server, expect_trouble, opened, sign_in

FAST: dict[str, Any] = {"minutes": 0, "seconds": 1}
POST = """async (path) => {
  const answer = await fetch(path, { method: "POST", body: '{"id": 1}' });
  return answer.status;
}"""


@pytest.fixture(scope="module", autouse=True)
def jobs(server: Server) -> None:
    for number in range(60):
        server.job(f"area{number % 6}.deed-{number:03}", hours=1, minutes=0)
    server.job("ticking", **FAST)
    server.user("vera", "viewer")
    server.user("carl", "operator", patterns=["other.*", "zato.scheduler.*"])


def show_jobs(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/dashboard/jobs{query}")
    expect(page.get_by_role("table", name="Jobs")).to_be_visible()


def rows(page: Page) -> list[str]:
    return page.locator("tbody td.name a").all_inner_texts()


def test_a_filter_is_kept_by_reload_and_back(signed_in: Page, server: Server) -> None:
    page = signed_in
    show_jobs(page, server)

    page.keyboard.press("f")
    page.keyboard.type("deed-04")
    expect(page.get_by_text("10 jobs match")).to_be_visible()
    assert page.url.endswith("/jobs?q=deed-04")
    page.get_by_role("button", name="Job", exact=True).first.click()
    page.reload()
    expect(page.get_by_text("10 jobs match")).to_be_visible()
    expect(page.get_by_label("Filter jobs")).to_have_value("deed-04")
    page.get_by_role("link", name="area0.deed-042").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("area0.deed-042")
    page.go_back()
    expect(page.get_by_text("10 jobs match")).to_be_visible()


def test_tokens_and_chips_filter_alike(signed_in: Page, server: Server) -> None:
    page = signed_in
    server.invoke(
        "zato.scheduler.job.pause",
        {"id": server.job("asleep"), "note": "waiting for the bank"},
    )
    show_jobs(page, server)

    page.get_by_role("group", name="State").get_by_role("button", name="paused").click()
    expect(page.get_by_text("1 job matches")).to_be_visible()
    expect(page.get_by_label("Filter jobs")).to_have_value("is:paused")
    expect(page.get_by_role("row").filter(has_text="asleep")).to_contain_text(
        "by admin.invoke: waiting for the bank"
    )
    page.get_by_label("Filter jobs").fill("is:pau")
    page.get_by_role("option", name="is:paused").click()
    expect(page.get_by_text("1 job matches")).to_be_visible()
    page.get_by_label("Filter jobs").fill("is:nonsense")
    expect(page.get_by_text("“is:nonsense” is not known")).to_be_visible()
    page.get_by_label("Filter jobs").fill("zzz")
    expect(page.get_by_text("The filter is zzz.")).to_be_visible()
    jobs = page.get_by_role("navigation", name="Pages").get_by_role("link", name="Jobs")
    expect(jobs).to_contain_text(re.compile(r"[1-9]\d"))  # all of them, not those that match
    page.get_by_role("button", name="Clear the filter").click()
    expect(page.get_by_label("Filter jobs")).to_have_value("")
    server.invoke("zato.scheduler.job.delete-many", {"names": ["asleep"]})


def test_all_that_match_are_paused_by_their_number_and_resumed(
    signed_in: Page, server: Server
) -> None:
    page = signed_in
    show_jobs(page, server, "?q=area3")
    matching = 10

    page.get_by_label(f"Select all {matching} that match").check()
    expect(page.get_by_text("10 selected")).to_be_visible()
    page.get_by_role("button", name="Pause …").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Pause 10 jobs?")
    dialog.get_by_label("Note").fill("maintenance")
    late = server.job("area3.late")
    expect_trouble(page, "status of 409")
    dialog.get_by_role("button", name="Pause 10 jobs").click()

    expect(dialog.get_by_role("alert")).to_be_visible()  # the match has grown
    dialog.get_by_role("button", name="Count again").click()
    expect(dialog).to_contain_text("Pause 11 jobs?")
    server.invoke("zato.scheduler.job.delete", {"id": late})
    dialog.get_by_role("button", name="Cancel").click()
    page.reload()
    page.get_by_label(f"Select all {matching} that match").check()
    page.get_by_role("button", name="Pause …").click()
    page.get_by_role("dialog").get_by_label("Note").fill("maintenance")
    page.get_by_role("dialog").get_by_role("button", name="Pause 10 jobs").click()
    expect(page.get_by_text("10 jobs paused.")).to_be_visible()
    found = server.invoke("zato.scheduler.job.get-list", {"state": "paused"})
    assert {job["pause_note"] for job in found} == {"maintenance"}
    assert len(found) == matching
    page.get_by_label(f"Select all {matching} that match").check()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume 10 jobs").click()
    expect(page.get_by_text("10 jobs resumed.")).to_be_visible()
    assert server.invoke("zato.scheduler.job.get-list", {"state": "paused"}) == []


def test_rows_are_walked_and_acted_on_by_keys(signed_in: Page, server: Server) -> None:
    page = signed_in
    show_jobs(page, server, "?q=area1")

    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr.at")).to_contain_text("area1.deed-007")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("3 selected")).to_have_count(0)
    page.keyboard.press("r")
    expect(page.get_by_text(re.compile("Run 1 of area1.deed-019 has started"))).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("area1.deed-019")


def test_selection_and_order_survive_events(signed_in: Page, server: Server) -> None:
    page = signed_in
    show_jobs(page, server)
    before = rows(page)

    box = page.get_by_label("Select area0.deed-006")
    box.check()
    box.focus()
    row = page.get_by_role("row").filter(has_text="ticking")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(row).to_be_visible()
    latest = row.locator("td.name time")
    first = latest.get_attribute("datetime") or ""
    expect(latest).not_to_have_attribute("datetime", first)
    page.evaluate("scrollTo(0, 0)")
    expect(box).to_be_checked()
    assert rows(page)[:10] == before[:10]
    expect(page.get_by_text("1 selected")).to_be_visible()


def test_a_viewer_sees_everything_and_changes_nothing(browser: Browser, server: Server) -> None:
    with opened(browser, server) as (_, page):
        sign_in(page, server, "/jobs", user="vera")
        expect(page.get_by_text(re.compile("[0-9]+ jobs match"))).to_be_visible()
        create = page.get_by_role("link", name="New job")
        expect(create).to_have_count(0)
        button = page.get_by_role("button", name=re.compile("New job"))
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute("title", "needs editor; you are viewer")
        page.get_by_label("Select area0.deed-000").check()
        for action in ("Run now", "Pause …", "Resume", "Skip next", "Delete …"):
            expect(
                page.get_by_role("region", name="What to do").get_by_role(
                    "button", name=re.compile(f"^{action}")
                )
            ).to_have_attribute("aria-disabled", "true")
        page.goto(f"{server.url}/dashboard/jobs/new")
        expect(page.get_by_text("You may not make jobs.")).to_be_visible()
        expect_trouble(page, "status of 403")
        for service in ("create", "edit", "pause", "resume", "execute", "skip-next", "delete"):
            path = f"../../zato/api/invoke/zato.scheduler.job.{service}"
            assert (service, page.evaluate(POST, path)) == (service, 403)


def test_a_confined_user_sees_only_theirs(browser: Browser, server: Server) -> None:
    with opened(browser, server) as (_, page):
        sign_in(page, server, "/jobs", user="carl")
        expect(page.get_by_text("confined to other.*")).to_be_visible()


def test_a_user_confined_to_some_services_sees_their_jobs_and_runs(
    browser: Browser, server: Server
) -> None:
    job = server.job("theirs", "demo.echo", hours=1, minutes=0)
    server.invoke("zato.scheduler.job.execute", {"id": job})
    server.user("dora", "operator", patterns=["demo.*"])
    with opened(browser, server) as (_, page):
        sign_in(page, server, "/jobs", user="dora")
        expect(page.get_by_text("1 job matches")).to_be_visible()
        assert rows(page) == ["theirs"]
        page.goto(f"{server.url}/dashboard/")
        expect(page.locator(".lane-names a")).to_have_count(1)
        page.goto(f"{server.url}/dashboard/runs")
        expect(page.locator("tbody td.name a").first).to_have_text("theirs")
        assert set(rows(page)) == {"theirs"}
        expect_trouble(page, "status of 404")
        expect_trouble(page, "status of 403")
        page.goto(f"{server.url}/dashboard/jobs/1")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_text("area0.deed-000")).to_have_count(0)
    server.invoke("zato.scheduler.job.delete", {"id": job})


def test_the_list_on_a_phone_has_cards_and_no_horizontal_scroll(
    browser: Browser, server: Server
) -> None:
    with opened(browser, server, viewport={"width": 390, "height": 844}) as (_, page):
        sign_in(page, server, "/jobs")
        expect(page.get_by_text("area0.deed-000")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_label("Select area0.deed-000").check()
        expect(page.get_by_text("1 selected")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_table_fills_its_card_at_every_width(browser: Browser, server: Server) -> None:
    with opened(browser, server, viewport={"width": 1280, "height": 860}) as (_, page):
        sign_in(page, server, "/jobs")
        for width in (1280, 1200, 1000, 820, 700):
            page.set_viewport_size({"width": width, "height": 860})
            name = page.locator("tbody td.name a").first
            expect(name).to_be_visible()
            assert page.evaluate(
                """() => {
                  const card = document.querySelector(".card:has(table)");
                  const last = document.querySelector("thead th:last-child");
                  return card.getBoundingClientRect().right - last.getBoundingClientRect().right;
                }"""
            ) == pytest.approx(0, abs=2)
            cut = name.evaluate("it => it.scrollWidth > it.clientWidth")
            assert (width, cut) == (width, False)


def test_jobs_are_exported_and_imported(signed_in: Page, server: Server) -> None:
    page = signed_in
    show_jobs(page, server)

    page.get_by_role("button", name="Import and export").click()
    page.get_by_role("menuitem", name="Import …").click()
    dialog = page.get_by_role("dialog", name="Import jobs")
    dialog.get_by_label("Format").select_option("crontab")
    dialog.get_by_label("Service").fill("shop.hello")
    dialog.get_by_label("Text").fill("0 4 * * * /usr/bin/backup\n61 * * * * /usr/bin/wrong\n")
    dialog.get_by_role("button", name="See what it would do").click()
    expect(dialog.get_by_role("status")).to_contain_text("1 created")
    expect(dialog.get_by_role("status")).to_contain_text("1 entry has a mistake")
    dialog.get_by_role("button", name="Create 1").click()
    expect(page.get_by_text("1 job created")).to_be_visible()
    page.get_by_role("button", name="Import and export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Export all jobs").click()
    assert "area0.deed-000" in download.value.path().read_text()


def test_the_import_of_jobs_has_an_address(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.goto(f"{server.url}/dashboard/jobs?import=1")
    dialog = page.get_by_role("dialog", name="Import jobs")
    expect(dialog).to_be_visible()

    dialog.get_by_role("button", name="Cancel").click()

    expect(dialog).to_have_count(0)
    expect(page).to_have_url(f"{server.url}/dashboard/jobs")


def test_the_choices_of_a_pause_fit_a_phone(signed_in: Page, server: Server) -> None:
    page = signed_in
    job = server.job("paused on a phone")
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{server.url}/dashboard/jobs/{job}")

    page.get_by_role("button", name="Pause …").click()

    dialog = page.get_by_role("dialog")
    choice = dialog.get_by_role("group", name="Ends").get_by_role("button").last
    edges = [it.evaluate("it => it.getBoundingClientRect().right") for it in (choice, dialog)]
    assert edges[0] < edges[1]


def test_letters_find_a_job_quickly(signed_in: Page, server: Server) -> None:
    page = signed_in
    show_jobs(page, server)

    page.keyboard.press("f")
    page.keyboard.type("d-03")
    began = time.perf_counter()
    page.keyboard.type("3")
    expect(page.get_by_text("1 job matches")).to_be_visible()

    assert time.perf_counter() - began < 2
