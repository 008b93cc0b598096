# -*- coding: utf-8 -*-

""" A REST resource over a database table. """

# Zato
from zato.common.exception import BadRequest, Conflict, NotFound
from zato.server.service import Float, Integer, Service


class Order(Service):
    """ An order, by its number. """

    rest = 'GET,POST,DELETE /published/orders/{order_id}'

    class SimpleIO:
        input_required = Integer('order_id')
        input_optional = 'customer', Float('total')
        output_optional = 'order_id', 'customer', Float('total'), 'note'
        skip_empty_keys = True

    def find(self):
        rows = self.out.sql['Reporting'].all(
            'SELECT order_id, customer, total, note FROM orders WHERE order_id=:id',
            {'id': self.request.input.order_id})
        return rows[0] if rows else None

    def handle_GET(self):
        order = self.find()
        if not order:
            raise NotFound(self.cid, 'No such order `{}`'.format(self.request.input.order_id))
        self.response.payload = order

    def handle_POST(self):
        input = self.request.input
        if not input.customer or input.total is None:
            raise BadRequest(self.cid, 'Both customer and total are needed')
        with self.lock('orders.{}'.format(input.order_id)):
            if self.find():
                raise Conflict(self.cid, 'Order already exists')
            self.out.sql['Reporting'].execute(
                'INSERT INTO orders (order_id, customer, total) VALUES (:id, :customer, :total)',
                {'id': input.order_id, 'customer': input.customer, 'total': input.total})
        self.response.status_code = 201
        self.response.headers['Location'] = self.request.http.path
        self.response.payload.order_id = input.order_id

    def handle_DELETE(self):
        self.out.sql['Reporting'].execute(
            'DELETE FROM orders WHERE order_id=:id', {'id': self.request.input.order_id})
        self.response.status_code = 204
