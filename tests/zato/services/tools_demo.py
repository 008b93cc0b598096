# -*- coding: utf-8 -*-

# Zato
from zato.common.json_internal import dumps, loads
from zato.server.service import Service

class MyService(Service):
    def handle(self):
        with self.lock('my.lock', ttl=5):
            self.cache.set('key', loads(dumps({'a': 1})), expiry=60)
        self.sleep(0)
        self.response.payload = {
            'cached': self.cache.get('key'),
            'today': self.time.today(),
            'now': self.time.utcnow(),
            'url': self.config.crm.url,
            'cluster_id': self.server.cluster_id,
            'name': self.get_name(),
        }
