import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.dashboard.browser.axe import violations
from tests.dashboard.browser.conftest import PASSWORD, Server, expect_trouble, opened
from tests.e2e.test_first_start import serving
from zato_lite.cli.project import create


def test_the_printed_link_leads_to_a_job_that_ticks(browser: Browser, tmp_path: Path) -> None:
    list(create(tmp_path))
    jobs = tmp_path / "config" / "jobs.yaml"
    jobs.write_text(jobs.read_text().replace("seconds: 10", "seconds: 2"))
    with serving(tmp_path, terminal=True) as started:
        server = Server(tmp_path, started.port)
        [link] = re.findall(r"http://127.0.0.1:\d+/zato/set-password\?code=\S+", started.shown())
        with opened(browser, server) as (_, page):
            page.goto(link)
            expect(page.get_by_role("heading")).to_have_text("Set the password")
            assert violations(page) == []
            page.get_by_label(re.compile("^Password")).fill(PASSWORD)
            page.get_by_label("The same password again").fill(PASSWORD)
            page.get_by_role("button").click()

            expect(page).to_have_url(f"{server.url}/dashboard/")
            expect(page.locator(".lane-names a")).to_contain_text("tick")
            canvas = page.locator(".timeline canvas")
            expect(canvas).to_have_attribute("aria-label", re.compile(r"\d ok"), timeout=15_000)
            expect_trouble(page, "status of 403")
            page.goto(link)
            expect(page.get_by_role("alert")).to_contain_text("This link is not valid.")
            page.wait_for_load_state()
