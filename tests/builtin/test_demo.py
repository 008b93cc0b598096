import pytest

from zato_lite.errors import BadInputError
from zato_lite.testing.app import Sandbox


async def test_sleep_answers_with_its_duration(box: Sandbox) -> None:
    answer = await box.invoke("demo.sleep", {"seconds": "0", "jitter": 0})

    assert answer == {"message": "OK, slept for 0.10 s"}


async def test_a_duration_that_is_not_one_is_refused(box: Sandbox) -> None:
    with pytest.raises(BadInputError, match="seconds: -1 is not allowed"):
        await box.invoke("demo.sleep", {"seconds": -1})


async def test_a_service_raises_on_purpose(box: Sandbox) -> None:
    with pytest.raises(RuntimeError, match="Test exception"):
        await box.invoke("test.raise")
