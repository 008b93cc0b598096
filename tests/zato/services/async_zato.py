# A service of Zato's, made async.

from zato.server.service import Service

class MyService(Service):
    async def handle(self):
        self.response.payload = await self.invoke('invoke-demo.target', 1)
