from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zato_lite.clock import SystemClock
from zato_lite.store.postgres import PostgresStore, open_postgres
from zato_lite.store.sqlite import SqliteStore, open_store

ENGINES = ["memory", "file", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=ENGINES)
async def database(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[SqliteStore | PostgresStore]:
    """Return each implementation of ``Database`` in turn."""
    if request.param == "postgres":
        async with open_postgres(request.getfixturevalue("postgres_url"), SystemClock()) as store:
            yield store
    else:
        path = ":memory:" if request.param == "memory" else tmp_path / "data" / "z.db"
        async with open_store(path, SystemClock()) as store:
            yield store


@pytest.fixture(params=["memory", "file"])
async def sqlite_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[SqliteStore]:
    """Return a store of SQLite, for what it alone does."""
    path = ":memory:" if request.param == "memory" else tmp_path / "data" / "z.db"
    async with open_store(path, SystemClock()) as store:
        yield store
