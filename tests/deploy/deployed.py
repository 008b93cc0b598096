"""A folder's services as a server deploys them."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from zato_lite.deploy.deployer import Deployer
from zato_lite.deploy.loader import Failure
from zato_lite.service.entry import Entry
from zato_lite.service.registry import Registry


class Deployed(NamedTuple):
    """Services in the order of their names, and files that failed in that of theirs."""

    services: Sequence[Entry]
    failures: Sequence[Failure]

    @property
    def names(self) -> list[str]:
        """Names of the services."""
        return [entry.name for entry in self.services]


def deployed(folder: Path) -> Deployed:
    """Deploy the files below a folder and return the result."""
    registry = Registry()
    deployer = Deployer(registry, folder)
    asyncio.run(deployer.deploy())
    deployer.close()
    failures = [deployer.failures[path] for path in sorted(deployer.failures)]
    return Deployed([*registry], failures)
