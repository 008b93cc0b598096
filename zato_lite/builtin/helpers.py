"""Small services that answer, log or echo what they get."""

from zato_lite.service.base import Service


class Echo(Service):
    """Answers what it was sent."""

    name = "zato.helpers.echo"

    async def handle(self) -> None:
        self.response.payload = self.request.payload


class HelpersEcho(Echo):
    """The same as `zato.helpers.echo`."""

    name = "helpers.echo"


class InputLogger(Service):
    """Logs what it was sent."""

    name = "zato.helpers.input-logger"

    async def handle(self) -> None:
        self.logger.info("%s", self.request.payload)


class PublicInputLogger(InputLogger):
    """The same as `zato.helpers.input-logger`."""

    name = "pub.helpers.input-logger"


class RawRequestLogger(Service):
    """Logs the text that it was sent, untouched."""

    name = "zato.helpers.raw-request-logger"

    async def handle(self) -> None:
        self.logger.info("Received request: `%s`", self.request.raw_request)
