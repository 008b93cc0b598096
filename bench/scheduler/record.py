"""Body of benchmark jobs: the first statement reads the clock, the second records it."""

import os
import time
from datetime import UTC, datetime, timedelta

late: list[int] = []
"""Wall time at the first statement minus the slot, in nanoseconds; negative is early."""

now_ns = time.time_ns


def note(slot_ns: int) -> None:
    late.append(now_ns() - slot_ns)


seen: list[tuple[int, datetime]] = []
"""Clock at the first statement and slot of the job, to be subtracted later."""


def subtract() -> None:
    """Convert what was seen to lateness."""
    for now, slot in seen:
        micros = (slot - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        late.append(now - micros * 1000)
    seen.clear()


def note_phase(phase_ns: int) -> None:
    """Record lateness modulo a second, for schedulers whose jobs do not know their slot."""
    late.append((now_ns() - phase_ns) % 1_000_000_000)


def effect(job: str, slot_us: int, attempt: int = 1, word: str = "began") -> None:
    """One line in a file that outlives every crash of this process (not of the machine)."""
    line = f"{word} {job} {slot_us} {attempt} {now_ns() // 1000}\n"
    handle = os.open(os.environ["BENCH_EFFECTS"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(handle, line.encode())
    os.close(handle)
