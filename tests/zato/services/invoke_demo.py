# -*- coding: utf-8 -*-

# Zato
from zato.server.service import Service

class Target(Service):
    def handle(self):
        self.response.payload = {'got': self.request.payload, 'cid': self.cid}

class ByName(Service):
    def handle(self):
        response = self.invoke('invoke-demo.target', {'my': 'request'})
        self.response.payload = response

class ByClass(Service):
    def handle(self):
        self.response.payload = self.server.invoke(Target, my='request')

class CatchesErrors(Service):
    def handle(self):
        try:
            self.invoke('no.such.service')
        except Exception as e:
            self.response.payload = 'Caught: {}'.format(e.args[0])
