# -*- coding: utf-8 -*-

""" Watches the stock, warns once a day, and orders what is missing later. """

# Zato
from zato.common.api import SMTPMessage
from zato.common.typing_ import anydict, intnone
from zato.server.service import Service


class Monitor(Service):
    name = 'stock.monitor'

    def before_interval_based_job(self):
        self.logger.info('Invoked by %s', self.channel.name)

    def handle(self):
        for row in self.out.sql['Reporting'].all('SELECT sku, quantity, least FROM stock'):
            if row['quantity'] < row['least']:
                self.warn(row)

    def warn(self, row:'anydict'):
        key = 'stock.warned.{}.{}'.format(row['sku'], self.time.today())
        with self.lock(key):
            if self.cache.default.get(key):
                return
            self.cache.default.set(key, True, 86400)
        self.email.smtp['Office'].conn.send(
            SMTPMessage('buyer@example.com', 'Low stock: ' + row['sku'], 'Order more', from_='stock@example.com'))
        self.schedule.onetime(self, Order, prefix=row['sku'], after_seconds=60,
            data={'sku': row['sku'], 'missing': row['least'] - row['quantity']})


class Order(Service):
    name = 'stock.order'

    def handle(self):
        missing = self.request.input.missing # type: intnone
        response = self.out.rest['Supplier'].conn.post(
            self.cid, {'sku': self.request.input.sku, 'quantity': missing})
        self.logger.info('Supplier said %s', response.status_code)
        self.cache.default.set('stock.ordered.' + self.request.input.sku, missing)
