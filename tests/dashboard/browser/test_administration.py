import json

from playwright.sync_api import Page, expect

from tests.dashboard.browser.conftest import ADMIN, PASSWORD, Server, expect_trouble


def test_a_user_and_a_key_are_made(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.goto(f"{server.url}/dashboard/people")

    page.get_by_role("button", name="New user").click()
    dialog = page.get_by_role("dialog", name="New user")
    dialog.get_by_label("Name").fill("ann")
    dialog.get_by_label("Password").fill("short")
    expect_trouble(page, "status of 400")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.locator("#user-password-error")).to_contain_text("characters are needed")
    dialog.get_by_label("Password").fill("long enough for all")
    dialog.get_by_label("Role").select_option("editor")
    dialog.get_by_role("button", name="Save").click()
    users = page.get_by_role("region", name="Users")
    expect(users.get_by_role("listitem").filter(has_text="ann")).to_contain_text("editor")

    page.get_by_role("button", name="New key").click()
    page.get_by_role("dialog").get_by_label("Only services").fill("shop.*")
    page.get_by_role("button", name="Make the key").click()
    key = page.get_by_role("dialog", name="The new key").locator(".secret code").inner_text()
    assert server.ask("GET", "/zato/session", **{"X-API-Key": key})[0] == 200
    page.get_by_role("button", name="I have saved it").click()
    expect(page.get_by_text(key)).to_have_count(0)


def test_a_leaked_key_is_replaced_without_an_outage_and_revoked(
    signed_in: Page, server: Server
) -> None:
    page = signed_in
    page.goto(f"{server.url}/dashboard/people")

    def made() -> str:
        text = page.get_by_role("dialog", name="The new key").locator(".secret code").inner_text()
        page.get_by_role("button", name="I have saved it").click()
        return text

    def status(key: str) -> int:
        return server.ask("GET", "/zato/session", **{"X-API-Key": key})[0]

    def choose(words: str) -> None:
        row.get_by_role("button", name="What to do with").click()
        row.get_by_role("menuitem", name=words).click()

    page.get_by_role("button", name="New key").click()
    dialog = page.get_by_role("dialog", name="New key")
    dialog.get_by_label("Name").fill("leaked")
    dialog.get_by_label("Owner").fill("billing team")
    dialog.get_by_label("Expires").select_option("in 30 days")
    dialog.get_by_role("button", name="Make the key").click()
    old = made()
    row = (
        page.get_by_role("region", name="API keys")
        .get_by_role("listitem")
        .filter(has_text=old.split("_")[1])
    )
    for words in ("leaked", "of billing team", "operator", "expires in 30 d", "not used yet"):
        expect(row).to_contain_text(words)
    assert status(old) == 200

    choose("Rotate")
    dialog = page.get_by_role("dialog", name="Rotate leaked")
    dialog.get_by_label("The old secret").select_option("is valid for an hour")
    dialog.get_by_role("button", name="Rotate").click()
    expect(page.get_by_text("The old secret ends")).to_be_visible()
    new = made()
    expect(row).to_contain_text("the old secret ends in")
    expect(row).to_contain_text("used")
    assert [status(old), status(new)] == [200, 200]

    choose("Edit")
    dialog = page.get_by_role("dialog", name="Edit leaked")
    dialog.get_by_label("Name").fill("crm sync")
    dialog.get_by_label("Expires").select_option("never")
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("crm sync")
    expect(row).to_contain_text("never expires")

    choose("Revoke")
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(row).to_have_count(0)
    assert [status(old), status(new)] == [401, 401]


def test_the_session_of_this_browser_is_marked(signed_in: Page, server: Server) -> None:
    credentials = json.dumps({"username": ADMIN, "password": PASSWORD})
    assert server.ask("POST", "/zato/session", credentials)[0] == 200
    page = signed_in
    page.goto(f"{server.url}/dashboard/people")

    own = page.get_by_role("listitem").filter(has_text="this one")
    expect(own).to_have_count(1)
    expect(own.get_by_role("button", name="End this session")).to_be_visible()
    expect(page.get_by_role("button", name=f"End the session of {ADMIN}")).not_to_have_count(0)


def test_a_calendar_is_made_with_its_year_in_view(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.goto(f"{server.url}/dashboard/calendars")

    page.get_by_role("button", name="New calendar").first.click()
    dialog = page.get_by_role("dialog", name="New calendar")
    dialog.get_by_label("Name").fill("PL")
    dialog.get_by_label("Sun").check()
    expect_trouble(page, "status of 400")
    dialog.get_by_label("Days of each year").fill("12-25\nnever")
    expect(dialog.get_by_text("not a valid rule")).to_be_visible()
    dialog.get_by_label("Days of each year").fill("12-25\neaster+1")
    expect(dialog.get_by_text("days off")).not_to_have_count(0)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)

    shown = server.invoke("zato.scheduler.calendar.get-by-name", {"name": "PL"})
    assert (shown["weekdays"], shown["yearly"]) == ([6], ["12-25", "easter+1"])
    expect(page.get_by_text("Sundays; each year 12-25, easter+1")).to_be_visible()


def test_the_scheduler_is_paused_with_a_note_and_resumed(signed_in: Page, server: Server) -> None:
    page = signed_in
    page.goto(f"{server.url}/dashboard/nodes")

    page.get_by_role("button", name="Pause all …").click()
    page.get_by_label("Note").fill("moving house")
    page.get_by_role("button", name="Pause all jobs").click()
    expect(page.get_by_text("moving house")).to_be_visible()
    assert server.invoke("zato.scheduler.status")["is_paused"]
    page.get_by_role("button", name="Resume all").click()
    expect(page.get_by_role("button", name="Pause all …")).to_be_visible()
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.get_by_text("No problem found")).to_be_visible()


def test_the_audit_log_is_filtered_by_who(signed_in: Page, server: Server) -> None:
    page = signed_in
    server.user("bob", "operator")
    job = server.job("audited")
    server.invoke("zato.scheduler.job.pause", {"id": job}, user="bob")
    page.goto(f"{server.url}/dashboard/audit")

    expect(page.locator(".audit li").filter(has_text="bob")).not_to_have_count(0)
    page.get_by_label("Who").fill("bob")
    expect(page.locator(".audit li").filter(has_text="admin.invoke")).to_have_count(0)
    expect(page.locator(".audit li")).to_contain_text(["zato.scheduler.job.pause"])
