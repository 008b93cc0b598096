import re

from playwright.sync_api import Page, expect

from tests.dashboard.browser.conftest import (
    ADMIN,
    PASSWORD,
    SIGNED_OUT,
    Server,
    expect_trouble,
    settle,
    sign_in,
)


def test_a_browser_at_the_root_is_led_to_the_sign_in_and_back_to_its_page(
    page: Page, server: Server
) -> None:
    expect_trouble(page, SIGNED_OUT)

    page.goto(server.url + "/")
    expect(page).to_have_url(f"{server.url}/dashboard/login")
    sign_in(page, server, "/?span=24h")

    expect(page).to_have_url(f"{server.url}/dashboard/?span=24h")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_programs_at_the_root_get_json(server: Server) -> None:
    status, headers, _ = server.ask("GET", "/")

    assert (status, headers["Content-Type"]) == (404, "application/json")


def test_a_wrong_password_is_said_in_words_and_nothing_is_lost(page: Page, server: Server) -> None:
    expect_trouble(page, SIGNED_OUT)
    page.goto(f"{server.url}/dashboard/")

    page.get_by_label("Name").fill("ann")
    page.get_by_label("Password").fill("guess")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    expect(page.get_by_label("Name")).to_have_value("ann")


def test_after_signing_out_the_old_cookie_is_refused(signed_in: Page, server: Server) -> None:
    expect_trouble(signed_in, SIGNED_OUT)
    cookies = {c["name"]: c["value"] for c in signed_in.context.cookies()}
    cookie = f"zato_lite_session={cookies['zato_lite_session']}"

    signed_in.get_by_role("button", name=re.compile(f"{ADMIN}.*your account")).click()
    signed_in.get_by_role("menuitem", name="Sign out", exact=True).click()
    expect(signed_in.get_by_role("heading", name="Sign in to zato-lite")).to_be_visible()

    assert server.ask("GET", "/zato/session", Cookie=cookie)[0] == 401


def test_a_session_that_ends_asks_over_the_page(signed_in: Page, server: Server) -> None:
    expect_trouble(signed_in, SIGNED_OUT)
    settle(signed_in)
    signed_in.context.clear_cookies()

    signed_in.keyboard.press("/")
    signed_in.keyboard.type("abc")
    dialog = signed_in.get_by_role("dialog", name="Your session has ended")
    expect(dialog.get_by_label("Password")).to_be_focused()
    dialog.get_by_label("Password").fill(PASSWORD)
    dialog.get_by_role("button", name="Sign in").click()

    expect(dialog).to_have_count(0)
    expect(signed_in.get_by_role("combobox")).to_have_value("abc")
