"""Photograph every page of the dashboard in every state and look, to be looked at by people.

    python -m bench.dashboard_photos FOLDER [--only jobs] [--looks light] [--states full,empty]

It starts two servers. Looks: light, dark, phone, phone-dark; laptop and tablet if asked for.
States: ``full`` (a busy store), ``viewer`` (the same, for a viewer), ``empty`` (no job),
``loading`` (services that do not answer yet), ``error`` (services that fail), ``offline`` (the
server has died).
"""

import argparse
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, sync_playwright

from bench.dashboard_services import fill, services
from tests.dashboard.browser.conftest import ADMIN, NO_BROWSER, Server, find_browser, wait_for
from zato_lite.clock import SystemClock

DESK, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": DESK},
    "dark": {"viewport": DESK, "color_scheme": "dark"},
    "phone": {"viewport": PHONE, "has_touch": True},
    "phone-dark": {"viewport": PHONE, "has_touch": True, "color_scheme": "dark"},
    "laptop": {"viewport": {"width": 1200, "height": 760}},
    "tablet": {"viewport": {"width": 820, "height": 1100}, "has_touch": True},
}
MOST = 2_000
"""Height of a photograph; lists are longer."""
STATES = ("full", "viewer", "empty", "loading", "error", "offline")
EMPTY = ("jobs", "runs", "services", "calendars", "forecast", "nodes", "people", "audit")
"""Pages that have something to say on a server without a job, besides the overview."""
JOB = "zato.scheduler.job."
_NEVER = """const ask = window.fetch.bind(window);
const isHeld = (to) => /api.invoke/.test(to);
window.fetch = (to, ...rest) => isHeld(to) ? new Promise(() => {}) : ask(to, ...rest);"""


def furnish(server: Server) -> dict[str, str]:
    """Add what the pages can show; return their addresses by name."""
    sunday = {"name": "banks", "weekdays": [6], "yearly": ["12-25", "01-01", "easter+1"]}
    server.invoke("zato.scheduler.calendar.create", sunday)
    plain: dict[str, Any] = {"seconds": 2, "minutes": None}
    failing = server.job("shop.failing", "shop.fails", max_retries=1, retry_delay_ms=50, **plain)
    long = server.job("a-name-of-many-letters-" * 8, hours=1, minutes=None)
    server.job("שלום عربي <img src=x>", hours=1, minutes=None)
    cron = {"job_type": "cron_style", "minutes": None, "timezone": "Europe/Warsaw"}
    nightly = server.job("nightly", cron_definition="30 2 * * *", calendar="banks", **cron)
    server.invoke(f"{JOB}pause", {"id": nightly, "note": "waiting for the bank's new key"})
    slow = server.job("shop.slow", "shop.slow", hours=100, minutes=None)
    server.invoke(f"{JOB}execute", {"id": slow})
    server.user("vera", "viewer")
    server.user("olaf", "operator", patterns=["shop.*", "crm.*"])
    server.invoke("zato.security.key.create", {"roles": ["operator"], "patterns": ["shop.*"]})
    errors = {"id": failing, "outcomes": ["error"]}
    wait_for(lambda: server.invoke(f"{JOB}get-history", errors)["total"] > 3)
    (server.folder / "services" / "broken.py").write_text("import no_such_module\n")
    return {
        "overview": "/", "overview-7d": "/?span=7d&history=7d", "overview-table": "/?table=1",
        "jobs": "/jobs", "jobs-failing": "/jobs?q=is%3Afailing", "jobs-none": "/jobs?q=zzz",
        "job": f"/jobs/{failing}", "job-long": f"/jobs/{long}", "job-paused": f"/jobs/{nightly}",
        "job-upcoming": f"/jobs/{nightly}/upcoming", "job-year": f"/jobs/{failing}/calendar",
        "job-definition": f"/jobs/{nightly}/definition", "job-audit": f"/jobs/{nightly}/audit",
        "job-edit": f"/jobs/{nightly}/edit", "job-new": "/jobs/new", "job-gone": "/jobs/999999",
        "run": f"/jobs/{failing}/runs/1", "run-live": f"/jobs/{slow}/runs/1",
        "why": f"/jobs/{nightly}?why=latest&why_job={nightly}", "runs": "/runs",
        "runs-errors": "/runs?outcome=error", "services": "/services",
        "service": "/services/demo.sleep", "service-plain": "/services/shop.fails",
        "calendars": "/calendars/banks", "forecast": "/forecast", "nodes": "/nodes",
        "people": "/people", "audit": "/audit", "login": "/login",
    }  # fmt: skip


def settle(page: Page) -> None:
    """Wait until a page has its data, or for as long as a person would."""
    page.wait_for_timeout(500)
    for _ in range(30):
        if page.locator(".skeleton, .stale, tr.waiting, .boot").count() == 0:
            break
        page.wait_for_timeout(100)
    page.wait_for_timeout(300)


class Tour:
    """Photographs of pages, in a folder."""

    def __init__(self, browser: Browser, target: Path, chosen: argparse.Namespace) -> None:
        self.browser, self.target, self.chosen = browser, target, chosen

    @contextmanager
    def page(self, server: Server, look: str, user: str = ADMIN) -> Iterator[Page]:
        """Open a page in a look, signed in."""
        context = self.browser.new_context(**LOOKS[look])
        page = context.new_page()
        page.goto(f"{server.url}/dashboard/login")
        page.get_by_label("Name").fill(user)
        page.get_by_label("Password").fill("a good password")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("navigation", name="Pages").wait_for()
        yield page
        context.close()

    def shoot(self, page: Page, server: Server, paths: dict[str, str], label: str) -> None:
        """Photograph pages; a page on a desk in its whole height."""
        for name, path in paths.items():
            if self.chosen.only in name:
                if name == "login":
                    page.context.clear_cookies()
                page.goto(f"{server.url}/dashboard{path}")
                settle(page)
                height = page.evaluate("document.documentElement.scrollHeight")
                width = page.viewport_size["width"] if page.viewport_size else 0
                clip = {"x": 0, "y": 0, "width": width, "height": min(height, MOST)}
                target = self.target / f"{name}.{label}.png"
                page.screenshot(path=target, full_page=True, clip=clip)

    def busy(self, server: Server, paths: dict[str, str], look: str) -> None:
        """Photograph the states of a server that has data."""
        inner = {name: path for name, path in paths.items() if name != "login"}
        if "full" in self.chosen.states:
            with self.page(server, look) as page:
                self.shoot(page, server, paths, f"full.{look}")
        if "viewer" in self.chosen.states:
            with self.page(server, look, "vera") as page:
                self.shoot(page, server, inner, f"viewer.{look}")
        if "loading" in self.chosen.states:
            with self.page(server, look) as page:
                page.add_init_script(_NEVER)
                self.shoot(page, server, inner, f"loading.{look}")
        if "error" in self.chosen.states:
            with self.page(server, look) as page:
                page.route(re.compile("/zato/api/invoke/"), _fail)
                self.shoot(page, server, inner, f"error.{look}")

    def offline(self, server: Server, paths: dict[str, str], look: str) -> None:
        """Photograph pages whose server dies while they are open; it is started again."""
        for name in ("overview", "jobs", "job", "run-live", "nodes", "job-edit"):
            if self.chosen.only in name:
                with self.page(server, look) as page:
                    page.goto(f"{server.url}/dashboard{paths[name]}")
                    settle(page)
                    server.stop(9)
                    page.get_by_text(re.compile("Not connected since")).wait_for(state="attached")
                    settle(page)
                    page.screenshot(path=self.target / f"{name}.offline.{look}.png")
                server.start()


def _fail(route: Route) -> None:
    answer = '{"result": "Error", "details": "database is locked", "cid": "zl-7f3a90c2"}'
    route.fulfill(status=500, content_type="application/json", body=answer)


def main() -> None:
    """Start servers and a browser, and photograph what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", type=Path)
    parser.add_argument("--only", default="", help="a part of the pages' names")
    parser.add_argument("--looks", default="light,dark,phone,phone-dark")
    parser.add_argument("--states", type=lambda text: set(text.split(",")), default=set(STATES))
    chosen = parser.parse_args()
    chosen.target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        busy, empty = Path(name) / "busy", Path(name) / "empty"
        for folder in (busy, empty):
            (folder / "data").mkdir(parents=True)
        fill(busy / "data" / "zato-lite.db", 300, 30_000, SystemClock().now(), 1)
        full, bare = Server(busy), Server(empty)
        (busy / "services" / "work.py").write_text(services(), encoding="utf-8")
        path = find_browser(playwright) or sys.exit(NO_BROWSER)
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        tour = Tour(browser, chosen.target, chosen)
        for server in (full, bare):
            server.start()
        try:
            paths = furnish(full)
            for look in chosen.looks.split(","):
                tour.busy(full, paths, look)
                if "empty" in chosen.states:
                    still = {name: f"/{name}" for name in EMPTY} | {"overview": "/"}
                    with tour.page(bare, look) as page:
                        tour.shoot(page, bare, still, f"empty.{look}")
                if "offline" in chosen.states:
                    tour.offline(full, paths, look)
        finally:
            for server in (full, bare):
                server.stop()


if __name__ == "__main__":
    main()
