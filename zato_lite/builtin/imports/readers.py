"""Readers by the name of their format."""

from collections.abc import Callable, Iterator, Mapping

from zato_lite.builtin.imports import apscheduler, celery, crontab, kubernetes, quartz, systemd
from zato_lite.builtin.imports.entry import Entry, Options

READERS: Mapping[str, Callable[[str, Options], Iterator[Entry]]] = {
    "crontab": crontab.read,
    "celery": celery.read,
    "apscheduler": apscheduler.read,
    "kubernetes": kubernetes.read,
    "quartz": quartz.read,
    "systemd": systemd.read,
}
"""Readers by the name of their format."""
