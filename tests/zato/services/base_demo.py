# -*- coding: utf-8 -*-

# stdlib
from http.client import OK

# Zato
from zato.server.service import Service

class _Base(Service):
    """ Not to be deployed.
    """
    DONT_DEPLOY = True

    def handle(self):
        self.response.payload = self.greet()
        self.response.status_code = OK

class Hello(_Base):
    def greet(self):
        return 'Hello'

class Skipped(_Base):

    @classmethod
    def before_add_to_store(cls, logger):
        logger.warn('Skipping')
        return False
