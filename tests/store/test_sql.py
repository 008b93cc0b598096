"""SQL helpers."""

from tests.store.files import names
from zato_lite.store.ports import Database
from zato_lite.store.sql import write_rows


async def test_write_rows_writes_all_rows(database: Database) -> None:
    rows = [(f"n{number:04}", str(number)) for number in range(999)]

    changed = await database.write(
        lambda c: write_rows(
            c, "INSERT INTO setting ({columns}) {rows}", "name text, value text", rows
        )
    )

    assert changed == 999
    assert len(await database.read(names)) == 999
