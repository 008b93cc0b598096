"""The logger of a service: the standard one, with the names that Zato's services use."""

import functools
import logging
from typing import Any


class ServiceLogger(logging.LoggerAdapter[logging.Logger]):
    """The logger named after a service."""

    def process(self, msg: Any, kwargs: Any) -> tuple[Any, Any]:
        """Nothing is added here: a log line finds its invocation by itself."""
        return msg, kwargs

    def warn(self, msg: object, *args: object, **kwargs: Any) -> None:
        """``warning`` under the name that newer standard loggers have lost."""
        kwargs["stacklevel"] = kwargs.get("stacklevel", 1) + 1
        self.warning(msg, *args, **kwargs)


@functools.cache
def service_logger(name: str) -> ServiceLogger:
    """The one logger of a service."""
    return ServiceLogger(logging.getLogger(name))
