# -*- coding: utf-8 -*-

# Zato
from zato.common.exception import BadRequest
from zato.server.service import Service

class MyService(Service):

    def before_handle(self):
        self.steps = ['before']

    def validate_input(self):
        if 'forbidden' in self.request.input:
            raise BadRequest(self.cid, 'That is forbidden')

    def handle(self):
        self.steps.append('handle')

    def after_handle(self):
        self.response.payload = {'steps': self.steps}

    def finalize_handle(self):
        self.logger.info('Steps: %s', self.steps)
