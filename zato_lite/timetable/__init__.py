"""WHEN: from definitions and a moment to what is due. Pure: no clock, no I/O, no random."""
