"""An asyncio microservice framework with a durable scheduler inside."""

from zato_lite.service.base import BlockingService, Service
from zato_lite.service.needs import needs

__version__ = "0.1.0"

__all__ = ["BlockingService", "Service", "__version__", "needs"]
