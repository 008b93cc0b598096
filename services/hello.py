from zato_lite import Service


class Hello(Service):
    """Greets whoever it is told to: `zato-lite invoke hello.hello '{"name": "Ann"}'`."""

    async def handle(self):
        name = self.request.input.get("name", "World")
        self.logger.info("Greeting %s", name)
        self.response.payload = {"message": f"Hello, {name}!"}
