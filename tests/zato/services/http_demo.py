# -*- coding: utf-8 -*-

# Zato
from zato.server.service import Service

class Customer(Service):

    rest = 'GET /http-demo/{id}'

    def handle_GET(self):
        self.response.payload = {
            'id': self.request.http.params.id,
            'page': self.request.http.GET.page,
            'agent': self.request.http.user_agent,
        }

    def handle_POST(self):
        self.response.status_code = 201
        self.response.headers['Location'] = '/customer/1'
        self.response.content_type = 'text/plain'
        self.response.payload = self.request.raw_request
