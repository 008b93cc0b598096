"""The examples of docs/outgoing.md run."""

import re
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from zato_lite import RestRequest, RestResponse, Service, SMTPMessage
from zato_lite.config import Settings, Store
from zato_lite.outgoing_config import Crypto
from zato_lite.testing.app import sandbox

PAGE = Path(__file__).parent.parent.parent / "docs" / "outgoing.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def defined(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "example"}
    exec(compile(block, str(PAGE), "exec"), names)  # noqa: S102 - our own page
    return names


async def test_the_example_of_a_test_passes() -> None:
    (block,) = [block for block in BLOCKS if "async def test_" in block and '"rest.crm"' in block]

    await defined(block)["test_name"]()


async def test_the_example_of_http_works() -> None:
    (block,) = [block for block in BLOCKS if "class Customers" in block]
    seen = []

    def crm(request: RestRequest) -> RestResponse:
        seen.append((request.method, request.url, request.params, request.body))
        return RestResponse(201 if request.body else 200, b'{"name": "Ann"}')

    customers = defined(block)["Customers"]
    async with sandbox(customers, outgoing={"rest.crm": crm}) as it:
        answer = await it.invoke(customers)

    assert answer == {"customer": {"name": "Ann"}, "status": 201}
    assert seen == [
        ("GET", "http://crm/customers/7", [("fields", "name"), ("fields", "city")], None),
        ("POST", "http://crm/notes", [], b'{"customer":7,"text":"called"}'),
    ]


async def test_the_example_of_sql_works() -> None:
    (block,) = [block for block in BLOCKS if "class Orders" in block]
    orders = defined(block)["Orders"]

    class Create(Service[Any, Any]):
        name = "create"

        async def handle(self) -> None:
            await self.out.sql["shop"].execute("CREATE TABLE orders (id integer, city text)")

    async with sandbox(orders, Create, outgoing={"sql.shop": "sqlite://"}) as it:
        await it.invoke("create")
        answer = await it.invoke(orders)

    assert answer == {"order": {"id": 7, "city": "Rome"}, "all": [{"id": 7}]}


async def test_the_example_of_the_cache_works() -> None:
    (block,) = [block for block in BLOCKS if "class Rates" in block]
    rates = defined(block)["Rates"]

    async with sandbox(rates) as it:
        assert await it.invoke(rates) == await it.invoke(rates) == {"EUR": 1.0, "PLN": 4.3}


async def test_the_example_of_mail_works() -> None:
    (block,) = [block for block in BLOCKS if "class Report" in block]
    report = defined(block)["Report"]
    outbox: list[SMTPMessage] = []

    async with sandbox(report, outgoing={"smtp.office": outbox}) as it:
        await it.invoke(report)

    assert [(sent.to, sent.attachments[0].name) for sent in outbox] == [
        ("ann@example.com", "report.csv")
    ]


async def test_the_example_of_cryptography_works() -> None:
    (block,) = [block for block in BLOCKS if "class Card" in block]
    card = defined(block)["Card"]
    key = Fernet.generate_key().decode()
    settings = Settings(store=Store("sqlite:///:memory:"), crypto=Crypto(key))

    async with sandbox(card, settings=settings) as it:
        answer = await it.invoke(card)

    assert answer["number"] == "4111 1111"
    assert len(answer["password"]) == 32
