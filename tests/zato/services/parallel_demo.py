# -*- coding: utf-8 -*-

# Zato
from zato.server.service import Service

class CRM(Service):
    def handle(self):
        self.response.payload = {'crm': self.request.input.customer}

class ERP(Service):
    def handle(self):
        self.response.payload = {'erp': self.request.input['customer']}

class Merge(Service):
    def handle(self):
        self.cache.set('merged', len(self.request.payload))

class MyService(Service):
    def handle(self):
        targets = {
            'parallel-demo.crm': {'customer': 1},
            'parallel-demo.erp': {'customer': 2},
        }
        self.response.payload = self.patterns.parallel(targets, on_final=[Merge])

class Retry(Service):
    def handle(self):
        self.response.payload = self.patterns.invoke_retry('parallel-demo.crm', {'customer': 3}, repeats=2, seconds=0)
