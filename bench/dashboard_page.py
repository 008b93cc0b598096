"""The dashboard in a browser, on a real server with many jobs, while it fires.

    python -m bench.dashboard_page [--jobs 10000] [--runs 200000] [--rounds 5] [--minutes 1]
    python -m bench.dashboard_page --jobs 1000000 --only pages

Parts, chosen by ``--only`` (a list with commas; all by default):

- ``overview``: first content and the whole Overview, with an empty cache and with a full one
- ``jobs``: a filter's and a sort's time after the last key or click, until the new rows are shown
- ``timeline``: script of each frame while the timeline is moved and zoomed
- ``heap``: memory after garbage collection, each half minute over ``--minutes``
- ``fires``: lateness of runs with five open pages and with none, in turns of ``--window`` seconds,
  ``--rounds`` times. The browser runs at the lowest priority there: in use, it is on another
  machine
- ``pages``: the time until each page has all of its data

``--events`` a second is what the server sends at least: jobs of one second are added to those that
the store has. At more than 10,000 jobs all periods grow, so that the rate stays.
"""

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Error, Page, Playwright, sync_playwright

from bench.dashboard_services import fill, services
from tests.dashboard.browser.conftest import ADMIN, NO_BROWSER, PASSWORD, Server, find_browser
from zato_lite.clock import SystemClock

PARTS = ("overview", "jobs", "timeline", "heap", "fires", "pages")
PAGES = (
    "/",
    "/jobs",
    "/jobs?q=is%3Afailing",
    "/jobs?sort=duration&dir=desc",
    "/jobs/new",
    "/jobs/7",
    "/jobs/7/upcoming",
    "/jobs/7/calendar",
    "/jobs/7/definition",
    "/jobs/7/audit",
    "/jobs/7/edit",
    "/jobs/7/runs/1",
    "/jobs/7?why={hour_ago}&why_job=7",
    "/runs",
    "/runs?outcome=error",
    "/services",
    "/services/crm.sync",
    "/calendars",
    "/calendars/PL",
    "/forecast",
    "/nodes",
    "/people",
    "/audit",
)
WATCH = Path(__file__).with_suffix(".js")

Row = tuple[str, str, str]


def percentile(values: list[float], share: float) -> float:
    """Return a percentile of values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def both(values: list[float], unit: str = "ms") -> str:
    """Return the median and the 95th percentile as words."""
    return f"{statistics.median(values):.1f} / {percentile(values, 0.95):.1f} {unit}"


class Bench:
    """A server and a browser that has signed in, with the rows of the table."""

    def __init__(self, server: Server, browser: Browser, chosen: argparse.Namespace) -> None:
        self.server, self.browser, self.chosen = server, browser, chosen
        self.rows: list[Row] = []
        self.state: Any = None

    def add(self, figure: str, value: str, wanted: str = "") -> None:
        """Add a row to the table and show it."""
        self.rows.append((figure, value, wanted))
        sys.stderr.write(f"{figure}: {value}\n")

    @contextmanager
    def page(self, path: str = "/") -> Iterator[Page]:
        """Open a page in a new context, with an empty cache."""
        context = self.browser.new_context(
            viewport={"width": 1280, "height": 860}, storage_state=self.state
        )
        page = context.new_page()
        page.add_init_script(path=WATCH)
        if self.state is None:
            self._sign_in(page)
            self.state = context.storage_state()
        page.goto(self.server.url + "/dashboard" + path)
        page.get_by_role("navigation", name="Pages").wait_for()
        yield page
        context.close()

    def _sign_in(self, page: Page) -> None:
        page.goto(self.server.url + "/dashboard/")
        page.get_by_label("Name").fill(ADMIN)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("navigation", name="Pages").wait_for()

    def shown(self, page: Page) -> float:
        """Wait until a page has all of its data; return when, in ms since its request."""
        return float(page.evaluate("watch.shown()"))

    def overview(self) -> None:
        """Measure the Overview's first content and the whole of it."""
        figures: dict[str, list[float]] = {}
        for _ in range(self.chosen.rounds):
            with self.page() as page:
                for cache in ("empty", "full"):
                    if cache == "full":
                        page.reload()
                    whole = self.shown(page)
                    first = page.evaluate(
                        "performance.getEntriesByName('first-contentful-paint')[0].startTime"
                    )
                    figures.setdefault(f"first content, {cache} cache", []).append(first)
                    figures.setdefault(f"Overview complete, {cache} cache", []).append(whole)
        for name, values in figures.items():
            self.add(name, both(values), "≤ 1,000" if name.startswith("first") else "≤ 1,500")

    def jobs(self) -> None:
        """Measure a filter and a sort of the list of jobs."""
        filters, sorts = [], []
        with self.page("/jobs") as page:
            self.shown(page)
            field = page.get_by_label("Filter jobs")
            for _ in range(self.chosen.rounds):
                for word in ("bil", "ware", "mail.s", "close"):
                    field.fill("")
                    page.wait_for_timeout(400)
                    field.press_sequentially(word, delay=60)
                    filters.append(float(page.evaluate("watch.filtered", word)))
            field.fill("")
            page.keyboard.press("Escape")
            page.wait_for_timeout(500)
            for _ in range(self.chosen.rounds):
                for words in ("Next", "Job", "p50", "Job"):
                    sorts.append(float(page.evaluate("watch.sorted", words)))
                    page.wait_for_timeout(300)
        self.add("filter, after the last key", both(filters), "≤ 200")
        self.add("sort, after the click", both(sorts), "≤ 200")

    def timeline(self) -> None:
        """Measure the script of frames while the timeline moves."""
        for label, path in (("12 lanes", "/"), ("200 lanes, 4 px", "/?density=dense&lanes=all")):
            with self.page(path) as page:
                self.shown(page)
                page.locator("canvas").first.wait_for()
                found = page.evaluate("watch.moved", 6_000)
            words = f"{both(found['frames'])}, {found['rate']:.0f} frames/s"
            long = f"{len(found['long'])} tasks > 50 ms"
            self.add(f"timeline, {label}: script a frame", f"{words}, {long}", "p95 ≤ 4")

    def heap(self) -> None:
        """Measure the memory of an Overview that stays open."""
        sizes: list[float] = []
        with self.page() as page:
            self.shown(page)
            tools = page.context.new_cdp_session(page)
            tools.send("Performance.enable")
            ends = time.monotonic() + self.chosen.minutes * 60
            while True:
                tools.send("HeapProfiler.collectGarbage")
                metrics = tools.send("Performance.getMetrics")["metrics"]
                found = {metric["name"]: metric["value"] for metric in metrics}
                sizes.append(found["JSHeapUsedSize"] / 1e6)
                sys.stderr.write(
                    f"  heap {sizes[-1]:.2f} MB, {found['Nodes']:.0f} nodes,"
                    f" {found['JSEventListeners']:.0f} listeners\n"
                )
                if time.monotonic() >= ends:
                    break
                page.wait_for_timeout(min(30_000, self.chosen.minutes * 20_000))
        third = max(1, len(sizes) // 3)
        early, late = statistics.median(sizes[:third]), statistics.median(sizes[-third:])
        words = f"{early:.2f} → {late:.2f} MB ({late / early - 1:+.0%}), most {max(sizes):.2f}"
        self.add(f"heap over {self.chosen.minutes:g} min", words, "± 10 %")

    def fires(self, polite: Browser) -> None:
        """Measure the lateness of runs with five open pages and with none."""
        late: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(self.chosen.rounds):
            for is_open in (False, True):
                contexts = [
                    polite.new_context(storage_state=self.state) for _ in range(5 * is_open)
                ]
                for context, path in zip(
                    contexts, ("/", "/jobs", "/runs", "/jobs/7", "/nodes"), strict=False
                ):
                    page = context.new_page()
                    page.goto(self.server.url + "/dashboard" + path)
                time.sleep(5)
                begin = SystemClock().now()
                time.sleep(self.chosen.window)
                end = SystemClock().now()
                late[is_open] += lateness(self.server.folder / "data" / "zato-lite.db", begin, end)
                for context in contexts:
                    context.close()
        none, five = percentile(late[False], 0.99), percentile(late[True], 0.99)
        for words, is_open in (("no page", False), ("five pages", True)):
            values = late[is_open]
            figures = f"p50 {percentile(values, 0.5):.2f}, p99 {percentile(values, 0.99):.2f} ms"
            self.add(f"lateness of fires, {words} open", f"{figures} of {len(values)}")
        self.add("p99 with five pages against none", f"{five / none - 1:+.0%}", "≤ +10 %")

    def pages(self) -> None:
        """Measure when each page has all of its data."""
        hour_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 3_600))
        for path in PAGES:
            with self.page(path.format(hour_ago=hour_ago)) as page:
                try:
                    values = [self.shown(page)]
                    for _ in range(min(2, self.chosen.rounds - 1)):
                        page.reload()
                        values.append(self.shown(page))
                except Error as error:
                    self.add(f"page {path}", error.message.splitlines()[0], "≤ 2,000")
                    continue
                errors = page.locator(".error-box").all_inner_texts()
            words = " ".join(f"{value:.0f}" for value in values) + " ms"
            self.add(
                f"page {path}", words + "".join(f" «{text[:80]}»" for text in errors), "≤ 2,000"
            )


def lateness(path: Path, begin: int, end: int) -> list[float]:
    """Return the lateness in ms of the runs that began between two instants."""
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10) as connection:
        rows = connection.execute(
            "SELECT started_at - slot FROM run WHERE slot BETWEEN ? AND ? AND kind = 'scheduled'"
            " AND started_at IS NOT NULL",
            (begin, end),
        ).fetchall()
    return [delay / 1_000 for (delay,) in rows]


def launch(playwright: Playwright, folder: Path, *, is_polite: bool) -> Browser:
    """Start a browser; a polite one at the lowest priority."""
    path = find_browser(playwright)
    if path is None:
        sys.exit(NO_BROWSER)
    if is_polite:
        script = folder / "polite-browser"
        script.write_text(f'#!/bin/sh\nexec nice -n 19 "{path}" "$@"\n')
        script.chmod(0o755)
        path = str(script)
    return playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--window", type=int, default=20)
    parser.add_argument("--events", type=int, default=20)
    parser.add_argument("--only", default=",".join(PARTS))
    chosen = parser.parse_args()
    wanted = [part.strip() for part in chosen.only.split(",")]
    if unknown := set(wanted) - set(PARTS):
        parser.error(f"unknown part {min(unknown)!r}; use {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        server = Server(folder)
        (folder / "services" / "work.py").write_text(services(), encoding="utf-8")
        (folder / "data").mkdir()
        begin = time.monotonic()
        stretch = max(1, chosen.jobs // 10_000)
        store = folder / "data" / "zato-lite.db"
        fill(store, chosen.jobs, chosen.runs, SystemClock().now(), stretch)
        filled = time.monotonic()
        server.start()
        try:
            ready = time.monotonic()
            bench = Bench(server, launch(playwright, folder, is_polite=False), chosen)
            bench.add(
                "store made; server ready", f"{filled - begin:.1f} s; {ready - filled:.1f} s"
            )
            for number in range(chosen.events // 2):
                server.job(f"ticking-{number}", minutes=None, seconds=1)
            with bench.page():
                time.sleep(3)
            for part in wanted:
                if part == "fires":
                    bench.fires(launch(playwright, folder, is_polite=True))
                else:
                    measure: Callable[[], None] = getattr(bench, part)
                    measure()
        finally:
            server.stop()
    head = f"{chosen.jobs:,} jobs, {chosen.runs:,} runs, p50 / p95"
    lines = [
        f"| {head} | | wanted |",
        "|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in bench.rows),
    ]
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
