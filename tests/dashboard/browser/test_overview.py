import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser.conftest import (
    SIGNED_OUT,
    Server,
    expect_trouble,
    opened,
    sign_in,
    wait_for,
)

HOSTILE = '<img src=x onerror="document.title=1">' + "x" * 120


@pytest.fixture(scope="module")
def jobs(server: Server) -> dict[str, int]:
    """Create some jobs, one of them failing, and wait until they have run."""
    made = {
        "billing.tick": server.job("billing.tick", minutes=None, seconds=1),
        "billing.fail": server.job("billing.fail", "shop.fails", minutes=None, seconds=2),
        "crm.slow": server.job("crm.slow", "shop.slow", on_overlap="skip"),
        "crm.later": server.job("crm.later", minutes=None, hours=1),
    }
    history = {"id": made["billing.tick"], "page_size": 5}
    wait_for(lambda: len(server.invoke("zato.scheduler.job.get-history", history)["rows"]) > 3)
    return made


@pytest.fixture
def overview(signed_in: Page, jobs: dict[str, int]) -> Page:
    """Return the overview of the admin, with its lanes."""
    expect(signed_in.locator(".lane-names a")).to_have_count(len(jobs))
    return signed_in


def spoken(page: Page) -> str:
    return page.locator("#spoken").inner_text().replace("\xa0", "")


def summary(page: Page) -> str:
    return page.locator(".timeline canvas").get_attribute("aria-label") or ""


def test_the_lanes_tick(overview: Page, jobs: dict[str, int]) -> None:
    canvas = overview.locator(".timeline canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile(r"4 jobs: .*ok.*coming"))

    first = summary(overview)

    expect(canvas).not_to_have_attribute("aria-label", first, timeout=5_000)
    names = overview.locator(".lane-names a")
    expect(names).to_have_count(4)
    expect(names.first).to_contain_text("billing.fail")


def test_the_keyboard_cursor_speaks_and_opens(overview: Page, jobs: dict[str, int]) -> None:
    overview.goto(overview.url + "?span=60s")
    overview.locator(".lane-names a").first.wait_for()
    overview.get_by_role("application").focus()

    overview.keyboard.press("ArrowLeft")
    expect(overview.locator("#spoken")).to_contain_text(
        re.compile(r"billing\.fail, (run \d+|\d+ runs), error, \d\d:\d\d:\d\d, (took|within)")
    )
    overview.keyboard.press("ArrowDown")
    wait_for(lambda: "billing.fail" not in spoken(overview))
    overview.keyboard.press("ArrowUp")
    wait_for(lambda: "billing.fail" in spoken(overview))
    overview.keyboard.press("Enter")

    expect(overview).to_have_url(re.compile(rf"/dashboard/jobs/{jobs['billing.fail']}/runs/\d+$"))


def test_the_timeline_is_a_table_too(overview: Page, jobs: dict[str, int]) -> None:
    overview.keyboard.press("t")

    table = overview.get_by_role("table", name="Runs, coming slots")
    row = table.get_by_role("row").filter(has_text="billing.fail").first
    expect(row).to_contain_text("error")
    expect(table.get_by_role("row").filter(has_text="crm.later")).to_contain_text("coming")
    expect(overview).to_have_url(re.compile(r"\?table=1$"))


def test_what_is_seen_is_in_the_address(overview: Page, jobs: dict[str, int]) -> None:
    overview.get_by_role("button", name="1 h").first.click()
    legend = overview.get_by_role("group", name="Shown kinds")
    legend.get_by_role("button", name=re.compile("ok")).click()
    expect(overview).to_have_url(re.compile(r"span=1h.*hide=ok|hide=ok.*span=1h"))
    overview.keyboard.press("+")
    expect(overview).to_have_url(re.compile(r"span=36m"))

    overview.reload()

    expect(legend.get_by_role("button", name=re.compile("ok"))).to_have_attribute(
        "aria-pressed", "false"
    )
    expect(overview).to_have_url(re.compile(r"span=36m"))


def test_dragging_leaves_now_and_a_key_returns(overview: Page, jobs: dict[str, int]) -> None:
    box = overview.locator(".timeline canvas").bounding_box()
    assert box is not None
    x, y = box["x"] + 300, box["y"] + 60
    overview.mouse.move(x, y)
    overview.mouse.down()
    overview.mouse.move(x + 150, y, steps=4)
    overview.mouse.up()
    expect(overview).to_have_url(re.compile(r"at=20"))

    overview.keyboard.press("0")

    expect(overview).not_to_have_url(re.compile(r"at="))


def test_a_press_of_the_pointer_says_and_opens(
    overview: Page, server: Server, jobs: dict[str, int]
) -> None:
    now = server.invoke("zato.scheduler.status")["now"][:19]  # a fixed span does not move away
    overview.goto(f"{overview.url}?span=60s&at={now}Z")
    canvas = overview.locator(".timeline canvas")
    expect(canvas).to_have_attribute("aria-label", re.compile("error"))
    box = canvas.bounding_box()
    assert box is not None
    y = box["y"] + 34 + 13

    def is_found() -> bool:
        for x in range(int(box["width"] / 2) - 20, 20, -6):
            overview.mouse.move(box["x"] + x, y)
            tip = overview.locator(".tip")
            if tip.count() and "error" in tip.inner_text():
                return True
        return False

    assert is_found()
    assert "number" in overview.locator(".tip").inner_text()
    overview.mouse.down()
    overview.mouse.up()
    expect(overview).to_have_url(re.compile(r"/runs/\d+$"))


def test_hostile_names_are_inert(signed_in: Page, server: Server) -> None:
    number = server.job(HOSTILE, minutes=None, seconds=1)
    try:
        signed_in.reload()
        expect(signed_in.locator(".lane-names a").filter(has_text="<img").first).to_be_visible()

        assert signed_in.evaluate("document.querySelectorAll('img').length") == 0
        assert signed_in.title() == "Overview · zato-lite"
        assert signed_in.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
    finally:
        server.invoke("zato.scheduler.job.delete", {"id": number})


def test_a_lost_server_is_said_and_what_was_shown_stays(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = Server(tmp_path_factory.mktemp("lost"))
    own.start()
    own.job("billing.tick", minutes=None, seconds=1)
    with opened(browser, own) as (_, page):
        sign_in(page, own)
        for text in ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET"):
            expect_trouble(page, text)
        expect(page.locator(".lane-names a")).to_have_count(1)
        live = page.locator("button.live")
        expect(live).to_have_text("Live")

        own.stop(9)
        expect(live).to_have_text(re.compile(r"Not connected since \d\d:\d\d, trying again"))
        expect(page.locator(".lane-names a")).to_have_count(1)
        page.set_viewport_size({"width": 390, "height": 844})
        expect(live.get_by_text("Not connected since")).to_be_visible()
        expect(page.locator(".error-box")).to_have_count(0)
        own.start()

        expect(live).to_have_text("Live", timeout=25_000)
        expect(page.locator(".timeline canvas")).to_have_attribute("aria-label", re.compile("ok"))
    own.stop()


def test_jobs_with_the_same_trouble_share_an_entry(overview: Page, server: Server) -> None:
    rare = {"hours": 100, "minutes": None}
    broken = [server.job(f"mail.broken-{n}", "shop.fails", **rare) for n in range(3)]
    for job in broken:
        server.invoke("zato.scheduler.job.execute", {"id": job})

    card = overview.get_by_role("region", name="Needs you")
    card.get_by_text(re.compile(r"mail\.broken-\d, .* and 1 other")).click(timeout=40_000)
    expect(card.get_by_role("button", name=re.compile("Retry mail.broken"))).to_have_count(3)
    expect(card.get_by_role("link", name=re.compile(r"\d failing"))).to_be_visible()
    for job in broken:
        server.invoke("zato.scheduler.job.delete", {"id": job})


def test_a_job_with_two_troubles_is_counted_once(overview: Page, server: Server) -> None:
    gone = server.job(
        "mail.gone", "shop.gone", hours=100, minutes=None, allow_missing_services=True
    )
    server.invoke("zato.scheduler.job.execute", {"id": gone})

    def troubled() -> list[int]:
        return [each["job_id"] for each in server.invoke("zato.scheduler.get-attention")["items"]]

    wait_for(lambda: troubled().count(gone) == 2)
    overview.reload()

    health = re.compile(rf"^{len(set(troubled()))} jobs? needs? you\.$")
    expect(overview.get_by_text(health)).to_be_visible()
    server.invoke("zato.scheduler.job.delete", {"id": gone})


def test_a_viewer_sees_all_and_changes_nothing(browser: Browser, server: Server) -> None:
    server.user("vera", "viewer")
    with opened(browser, server) as (_, page):
        sign_in(page, server, user="vera")

        button = page.get_by_role("button", name=re.compile("New job"))
        expect(button).to_have_attribute("aria-disabled", "true")
        expect(button).to_have_attribute("title", "needs editor; you are viewer")
        button.click(force=True)
        expect(page).to_have_url(f"{server.url}/dashboard/")


def test_an_empty_server_says_how_to_begin(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = Server(tmp_path_factory.mktemp("empty"))
    own.start()
    with opened(browser, own) as (_, page):
        sign_in(page, own)

        expect(page.get_by_role("heading", name="Nothing is scheduled yet.")).to_be_visible()
        expect_trouble(page, SIGNED_OUT)
        job = own.job("yearly", minutes=None, hours=9_000)
        own.invoke("zato.scheduler.job.execute", {"id": job})
        wait_for(lambda: own.invoke("zato.scheduler.job.get-history", {"id": job})["total"])
        page.reload()

        expect(page.locator(".chart-y span")).to_have_text(["2", "1", "0"])
        expect(page.get_by_role("link", name="1 node running")).to_be_visible()
    own.stop()


def test_what_cannot_be_read_is_said(overview: Page) -> None:
    expect_trouble(overview, "status of 500")
    answer = '{"result": "Error", "details": "database is locked", "cid": "zl-1"}'
    overview.route(
        re.compile("/zato/api/invoke/"), lambda route: route.fulfill(status=500, body=answer)
    )

    overview.reload()

    expect(overview.get_by_text("It is not known which jobs need you.")).to_be_visible()
    for words in ("Jobs", "Failed, last hour", "Missed, last hour", "Paused"):
        tile = overview.locator(".tile").filter(has_text=words).first
        expect(tile.locator(".tile-value")).to_have_text("\N{EN DASH}")
    expect(overview.locator(".error-box").first).to_contain_text("database is locked")


HIDE = """(isHidden) => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_page_that_was_hidden_fetches_once(overview: Page) -> None:
    overview.clock.install()
    overview.goto(overview.url)
    overview.locator(".lane-names a").first.wait_for()
    asked: list[str] = []
    overview.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))

    overview.evaluate(HIDE, True)
    overview.clock.fast_forward("10:00")
    overview.wait_for_timeout(300)
    meanwhile = [name for name in asked if name.startswith("zato.")]
    overview.evaluate(HIDE, False)
    overview.wait_for_timeout(2000)

    assert meanwhile == []
    for name in ("get-attention", "get-timeline", "status"):
        assert (name, asked.count(f"zato.scheduler.{name}")) == (name, 1)


def test_the_focus_survives_events(overview: Page) -> None:
    link = overview.locator(".lane-names a").nth(1)
    link.focus()
    before = overview.evaluate("document.activeElement.href")

    overview.wait_for_timeout(3500)

    assert overview.evaluate("document.activeElement.href") == before


RECORD_FRAMES = """
const raw = window.requestAnimationFrame.bind(window);
window.frames_ms = [];
window.requestAnimationFrame = (draw) => raw((at) => {
  const began = performance.now();
  draw(at);
  window.frames_ms.push(performance.now() - began);
});
"""


def test_frames_of_the_timeline_are_short(overview: Page) -> None:
    overview.add_init_script(RECORD_FRAMES)
    overview.goto(overview.url + "?span=1h")
    overview.locator(".lane-names a").first.wait_for()
    box = overview.locator(".timeline canvas").bounding_box()
    assert box is not None
    overview.mouse.move(box["x"] + 300, box["y"] + 60)

    overview.evaluate("window.frames_ms.length = 0")
    for key, step in (("Control", -30), ("Shift", 60)):
        overview.keyboard.down(key)
        for i in range(40):
            overview.mouse.wheel(0, step if i % 20 < 10 else -step)
            overview.wait_for_timeout(8)
        overview.keyboard.up(key)
    frames = sorted(overview.evaluate("window.frames_ms"))

    assert len(frames) > 20
    assert (
        frames[len(frames) // 2] < 8
    )  # a limit with room for a busy machine; 1 ms on a quiet one
