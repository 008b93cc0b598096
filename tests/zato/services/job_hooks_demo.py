# -*- coding: utf-8 -*-

# Zato
from zato.server.service import Service

class MyService(Service):

    def before_job(self):
        self.seen = ['before_job', self.job_type]

    def before_interval_based_job(self):
        self.seen.append('before_interval_based_job')

    def handle(self):
        self.seen.append(self.channel.type)
        self.response.payload = self.seen
