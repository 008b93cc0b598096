# -*- coding: utf-8 -*-

""" Exchange rates of a bank, cached for an hour. """

# stdlib
from decimal import Decimal

# bunch
from bunch import bunchify

# Zato
from zato.server.service import Service


class GetRate(Service):
    name = 'rates.get-rate'

    class SimpleIO(object):
        input_required = ('currency',)
        input_optional = ('date',)
        output_required = ('currency', 'rate', 'date', 'is_cached')

    def handle(self):
        currency = self.request.input.currency.upper()
        date = self.request.input.date or self.time.utcnow(format='DD-MM-YYYY')
        key = 'rate:{}:{}'.format(currency, date)
        cache = self.cache.get_cache('builtin', 'rates')
        rate = cache.get(key)
        is_cached = rate is not None
        if not is_cached:
            rate = self.fetch(currency, self.time.reformat(date, 'DD-MM-YYYY', 'YYYY-MM-DD'))
            cache.set(key, rate, 3600)
        self.response.payload.currency = currency
        self.response.payload.rate = rate
        self.response.payload.date = date
        self.response.payload.is_cached = is_cached

    def fetch(self, currency, date):
        response = self.outgoing.plain_http.get('Bank').conn.get(
            self.cid, {'currency': currency, 'date': date}, headers={'Accept': 'application/json'})
        data = bunchify(response.data)
        return str(Decimal(data.rates[0].mid))


class Convert(Service):
    name = 'rates.convert'

    def handle(self):
        request = self.request.payload
        response = self.invoke(GetRate.get_name(), {'currency': request['currency']}, as_bunch=True)
        amount = Decimal(request['amount']) * Decimal(response.rate)
        self.response.payload = {'amount': '{:.2f}'.format(amount)}
