"""Test kit: applications in memory, a clock that tests move, and fakes of services."""

from zato_lite.testing.app import Sandbox as Sandbox
from zato_lite.testing.app import sandbox as sandbox
from zato_lite.testing.clock import ManualClock as ManualClock
from zato_lite.testing.fakes import fails as fails
from zato_lite.testing.fakes import slow as slow
from zato_lite.testing.http import HttpAnswer as HttpAnswer
from zato_lite.testing.records import Attempt as Attempt
from zato_lite.testing.records import LedgerEntry as LedgerEntry
from zato_lite.testing.records import Run as Run

__all__ = [
    "Attempt",
    "HttpAnswer",
    "LedgerEntry",
    "ManualClock",
    "Run",
    "Sandbox",
    "fails",
    "sandbox",
    "slow",
]
