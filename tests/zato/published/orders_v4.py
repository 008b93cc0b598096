# -*- coding: utf-8 -*-

# stdlib
from dataclasses import dataclass

# Zato
from zato.common.typing_ import list_, optional
from zato.server.service import Model, Service


@dataclass(init=False)
class Line(Model):
    sku: str
    quantity: int = 1


@dataclass(init=False)
class PlaceOrder(Model):
    customer: str
    lines: list_[Line]
    note: optional[str]


class Place(Service):
    name = 'shop.order.place'

    class IO:
        input = PlaceOrder

    def handle(self):
        order = self.request.input
        prices = self.get_prices([line.sku for line in order.lines])
        total = sum(prices[line.sku] * line.quantity for line in order.lines)
        self.rest['CRM'].post(self.cid, {'customer': order.customer, 'total': total})
        self.response.payload.order.customer = order.customer
        self.response.payload.order.details.total = total
        self.response.payload.order.details.note = order.note
        self.response.payload.raw = self.request.raw_request['customer']

    def get_prices(self, skus):
        prices = self.cache.get('prices')
        if not prices:
            rows = self.out.sql['Reporting'].all('SELECT sku, price FROM price')
            prices = {row['sku']: row['price'] for row in rows}
            self.cache.set('prices', prices, ex=60)
        return {sku: prices[sku] for sku in skus}
