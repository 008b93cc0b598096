"""An asyncio microservice framework with a durable scheduler inside."""

__version__ = "0.1.0"
