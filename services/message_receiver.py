# -*- coding: utf-8 -*-

# Zato
from zato.server.service import Service

class MyService(Service):

    async def handle(self):
        self.logger.info('Message received: %s', self.request.raw_request)
