"""``/docs`` in a browser: parameters with their types, tried with a click."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.dashboard.browser.conftest import Server, sign_in
from tests.http import shop

CUSTOMER = "7f9c24e8-3b12-4c5f-9a8e-1d2c3b4a5f60"


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield a server with typed services."""
    it = Server(tmp_path_factory.mktemp("project"))
    shutil.copy(Path(shop.__file__), it.folder / "services" / "typed.py")
    it.start()
    yield it
    it.stop()


@pytest.fixture
def docs(page: Page, server: Server) -> Page:
    """Return the page of the documentation, opened by the admin."""
    sign_in(page, server)
    page.goto(f"{server.url}/docs")
    return page


def test_a_query_can_be_tried(docs: Page) -> None:
    docs.get_by_label("Find a service").fill("/customers/")
    operation = docs.locator("details:visible")
    operation.locator("summary").click()

    expect(operation).to_contain_text("The newest order is the first one.")
    expect(operation).to_contain_text("(query) integer, minimum 1, maximum 100")
    expect(operation).to_contain_text("(query) EUR | PLN")
    operation.get_by_role("textbox", name="customer").fill(CUSTOMER)
    operation.get_by_role("textbox", name="since").fill("2026-05-01")
    operation.get_by_role("textbox", name="tags").fill("a, b")
    operation.get_by_role("button", name="Try it").click()

    answer = operation.locator("pre", has_text="200, ")
    expect(answer).to_contain_text('"limit": 20')
    expect(answer).to_contain_text('"b"')


def test_headers_bodies_and_declared_answers_are_shown(docs: Page) -> None:
    docs.get_by_label("Find a service").fill("/orders/{id} change")
    operation = docs.locator("details:visible")
    operation.locator("summary").click()

    operation.get_by_role("textbox", name="id").fill("4")
    operation.get_by_role("textbox", name="x-token").fill("t")
    operation.get_by_label("Request").fill('{"lines": [{"sku": "a"}]}')
    operation.get_by_role("button", name="Try it").click()

    expect(operation.locator("pre", has_text="201, ")).to_contain_text('"token": "t"')
    expect(operation).to_contain_text("Response 201: The order was changed")
    expect(operation).to_contain_text("Location: URL of the order")
    expect(operation).to_contain_text("Response 409: The order is closed")


def test_own_services_come_before_the_built_in_ones(docs: Page) -> None:
    own = docs.locator("section", has=docs.get_by_role("heading", name="Yours"))
    built_in = docs.locator("section", has=docs.get_by_role("heading", name="Built in"))

    expect(own.locator("summary", has_text="shop.hello")).to_have_count(1)
    expect(own.locator("summary", has_text="zato.scheduler.")).to_have_count(0)
    expect(built_in.locator("summary", has_text="demo.echo")).to_have_count(1)
    docs.get_by_label("Find a service").fill("demo.sleep")

    expect(own).to_be_hidden()
    expect(built_in.locator("summary:visible code")).to_have_text(
        ["demo.sleep", "seconds", "jitter"]
    )
    expect(built_in.locator("summary:visible")).not_to_contain_text("`")


def test_other_addresses_lead_to_the_page(docs: Page, server: Server) -> None:
    for path in ("/docs/", "/docs/index.html"):
        docs.goto(f"{server.url}{path}")

        expect(docs).to_have_url(f"{server.url}/docs")
        expect(docs.get_by_role("heading", name="Built in")).to_be_visible()
