from itertools import pairwise

from zato_lite.main import Restarts


async def test_restarts_are_counted_and_pauses_between_them_grow() -> None:
    restarts = Restarts()

    pauses = [restarts.pause() for _ in range(12)]

    assert pauses[:4] == [0.0, 0.5, 1.0, 2.0]
    assert all(a <= b for a, b in pairwise(pauses))
    assert pauses[-1] == 60.0
    assert restarts.count == 12
