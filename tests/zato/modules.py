"""Imports that end with a test: modules of services, and those that stand in for Zato's."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zato_lite.zato.finder import uninstall


@contextmanager
def imports_undone() -> Iterator[None]:
    """Forget, at the end of the block, what was imported in it."""
    before, path = {*sys.modules}, [*sys.path]
    yield
    uninstall()
    sys.path[:] = path
    for name in {*sys.modules} - before:
        del sys.modules[name]
