from playwright.sync_api import Page, expect

from tests.dashboard.browser.conftest import Server, expect_trouble


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
