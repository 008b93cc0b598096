# -*- coding: utf-8 -*-

# Zato
from zato.common.exception import Conflict, Forbidden, NotFound, TooManyRequests, ZatoException
from zato.server.service import Service

errors = {
    'conflict': Conflict,
    'forbidden': Forbidden,
    'not-found': NotFound,
    'too-many': TooManyRequests,
    'other': ZatoException,
}

class Raise(Service):
    def handle(self):
        raise errors[self.request.input.kind](self.cid, 'My message')
