from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zato_lite.clock import SystemClock
from zato_lite.store.sqlite import SqliteStore, open_store


@pytest.fixture(params=["memory", "file"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Return each implementation of ``Database`` in turn."""
    path = ":memory:" if request.param == "memory" else tmp_path / "data" / "z.db"
    async with open_store(path, SystemClock()) as store:
        yield store
