"""Jitter: reproducible pseudo-random numbers and the delays made from them. No state, no seed."""

from zato_lite.timetable.job import Instant


def jitter(job_id: int, slot: Instant, jitter_ms: int) -> int:
    """Return the microseconds by which a slot's run is delayed, the same on every call."""
    return mix(job_id, slot) % (jitter_ms * 1_000) if jitter_ms else 0


def mix(*numbers: int) -> int:
    """Hash the numbers to 64 evenly distributed bits (splitmix64)."""
    mixed = 0
    for number in numbers:
        mixed = (mixed ^ number) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return mixed
