# -*- coding: utf-8 -*-

""" Asks several weather services at the same time and keeps the answers. """

# Zato
from zato.server.service import Service


class Ask(Service):
    name = 'weather.ask'

    def handle(self):
        city = self.request.payload['city']
        targets = {'weather.first': {'city': city}, 'weather.second': {'city': city}}
        cid = self.patterns.fanout.invoke(targets, ['weather.collect'])
        self.response.payload = {'cid': cid}


class First(Service):
    name = 'weather.first'

    def handle(self):
        response = self.out.rest['Weather'].conn.get(self.cid, self.request.payload)
        self.response.payload.celsius = response.data['celsius']


class Second(Service):
    name = 'weather.second'

    def handle(self):
        raise Exception('Out of order')


class Collect(Service):
    """ Receives the answers of all. """
    name = 'weather.collect'

    def handle(self):
        answers = self.request.payload['data']
        found = [each['response']['celsius'] for each in answers.values() if each['ok']]
        failed = sorted(name for name, each in answers.items() if not each['ok'])
        self.cache.default.set('weather', {'celsius': sum(found) / len(found), 'failed': failed})


class Latest(Service):
    name = 'weather.latest'

    def handle(self):
        self.response.payload = self.cache.default.get('weather')
