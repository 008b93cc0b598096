# -*- coding: utf-8 -*-

# Zato
from zato.server.service import Bool, Float, Int, List, Service

class CreateCustomer(Service):
    name = 'elements-demo.create-customer'

    input = 'name', '-email', Int('age'), Bool('-is_active'), List('-tags')
    output = 'customer_id', '-name', Float('-limit')

    def handle(self):
        self.response.payload.customer_id = self.request.input.age + 1
        self.response.payload.name = self.request.input.name.upper()
        self.response.payload.limit = '10.5'
