from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.zato.modules import imports_undone
from zato_lite.service.message import JobContext


@pytest.fixture
def job() -> JobContext:
    slot = datetime(2026, 12, 1, tzinfo=UTC)
    return JobContext(1, "my-job", 3, 17, slot, 1, 17, "interval_based")


@pytest.fixture
def imports() -> Iterator[None]:
    """Forget what a test imports."""
    with imports_undone():
        yield
