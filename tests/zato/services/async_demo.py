# -*- coding: utf-8 -*-

# Zato
from zato.server.service import Service

class Later(Service):
    def handle(self):
        self.logger.info('Now')

class MyService(Service):
    def handle(self):
        self.response.payload = self.invoke_async('async-demo.later', {'a': 1}, callback='async-demo.later')
