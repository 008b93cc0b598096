"""Small services that return or log their input; names and behaviour are Zato's."""

from zato_lite.service.base import Service


class Echo(Service):
    """Return the request's payload."""

    name = "zato.helpers.echo"
    role = "operator"
    is_safe = True

    async def handle(self) -> None:
        self.response.payload = self._payload


class HelpersEcho(Echo):
    """Return the request's payload, as `zato.helpers.echo` does."""

    name = "helpers.echo"


class InputLogger(Service):
    """Log the request's payload."""

    name = "zato.helpers.input-logger"
    role = "operator"
    is_safe = True

    async def handle(self) -> None:
        self.logger.info("%s", self._payload)


class PublicInputLogger(InputLogger):
    """Log the request's payload, as `zato.helpers.input-logger` does."""

    name = "pub.helpers.input-logger"


class RawRequestLogger(Service):
    """Log the request's text or bytes, unparsed."""

    name = "zato.helpers.raw-request-logger"
    role = "operator"
    is_safe = True

    async def handle(self) -> None:
        self.logger.info("Received request: `%s`", self.request.raw_request)
