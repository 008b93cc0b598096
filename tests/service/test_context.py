from typing import Any

from tests.service.running import SteppedClock, run_async
from zato_lite.service.base import Service


async def test_time_is_text_or_a_datetime() -> None:
    def times(self: Service) -> list[Any]:
        time = self.time
        return [
            time.utcnow(),
            time.now(tz="Europe/Warsaw", format="DD.MM.YY HH:mm"),
            time.today(),
            time.yesterday(),
            time.tomorrow("YYYYMMDD"),
            time.datetime("Asia/Tokyo").isoformat(),
        ]

    assert await run_async(times, clock=SteppedClock()) == [
        "2026-12-01 12:00:00",
        "01.12.26 13:00",
        "2026-12-01",
        "2026-11-30",
        "20261202",
        "2026-12-01T21:00:00+09:00",
    ]
