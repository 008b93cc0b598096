import pytest

from zato_lite.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()
