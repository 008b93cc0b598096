from datetime import UTC, datetime

import pytest

from zato_lite.service.message import JobContext


@pytest.fixture
def job() -> JobContext:
    slot = datetime(2026, 12, 1, tzinfo=UTC)
    return JobContext(1, "my-job", 3, 17, slot, 1, 17, "interval_based")
