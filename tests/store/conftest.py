from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zato_lite.clock import SystemClock
from zato_lite.store.sqlite import SqliteStore, open_store


@pytest.fixture(params=["memory", "file"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Each database that there is, one after another; tests do not know which."""
    path = ":memory:" if request.param == "memory" else tmp_path / "data" / "z.db"
    async with open_store(path, SystemClock()) as store:
        yield store
