"""Notifications to systemd, for ``Type=notify`` and ``WatchdogSec=``."""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

NOTIFY_SOCKET = "NOTIFY_SOCKET"


def notify(state: str, environ: Mapping[str, str] = os.environ) -> bool:
    """Send a state such as ``READY=1``; return False without a service manager that listens."""
    address = environ.get(NOTIFY_SOCKET, "")
    if not address:
        return False
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
        return True
    return False


def watchdog_interval(environ: Mapping[str, str] = os.environ) -> float | None:
    """Return the seconds between two pings: half of what systemd allows; None without a watchdog.

    The variables are meant for one process, which they name.
    """
    with suppress(ValueError):
        limit = int(environ.get("WATCHDOG_USEC", "0"))
        if limit > 0 and environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid()):
            return limit / 2e6
    return None
