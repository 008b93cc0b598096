"""What a job does in the benchmarks: its first statement reads the clock, its second keeps it."""

import os
import time
from datetime import UTC, datetime, timedelta

late: list[int] = []
"""Wall time at the first statement minus the slot, in nanoseconds; negative is early."""

now_ns = time.time_ns


def note(slot_ns: int) -> None:
    late.append(now_ns() - slot_ns)


seen: list[tuple[int, datetime]] = []
"""The clock at the first statement, and the slot that the job was told, to be subtracted later."""


def subtract() -> None:
    """From what was seen to what is late."""
    for now, slot in seen:
        micros = (slot - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
        late.append(now - micros * 1000)
    seen.clear()


def note_phase(phase_ns: int) -> None:
    """For schedulers that do not tell a job its slot: late by less than the second since it."""
    late.append((now_ns() - phase_ns) % 1_000_000_000)


def effect(job: str, slot_us: int, attempt: int = 1, word: str = "began") -> None:
    """One line in a file that outlives every crash of this process (not of the machine)."""
    line = f"{word} {job} {slot_us} {attempt} {now_ns() // 1000}\n"
    handle = os.open(os.environ["BENCH_EFFECTS"], os.O_APPEND | os.O_CREAT | os.O_WRONLY)
    os.write(handle, line.encode())
    os.close(handle)
