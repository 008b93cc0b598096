# -*- coding: utf-8 -*-

""" Settings in a database behind one service, as the manual of 3.x advises. """

# bunch
from bunch import Bunch

# Zato
from zato.common import DATA_FORMAT, ZatoException
from zato.server.service import Boolean, Service


class Settings(Service):
    """ Answers with the value of a key, or with the default. """
    name = 'settings.get'

    class SimpleIO:
        response_elem = 'setting'
        input_required = ('key',)
        input_optional = (Boolean('needs_fresh', default=False), 'default_value')
        output_required = ('key', 'value')

    def handle(self):
        input = self.request.input
        found = Bunch()
        found.key = input.key
        found.value = None if input.needs_fresh else self.cache.default.get('setting.' + input.key)
        if found.value is None:
            row = self.out.sql['Reporting'].one_or_none(
                'SELECT value FROM setting WHERE name=:name', {'name': input.key})
            found.value = row['value'] if row else input.default_value
            self.cache.default.set('setting.' + input.key, found.value, expiry=60)
        self.response.payload = found


class Report(Service):
    name = 'settings.report'

    def handle(self):
        response = self.invoke('settings.get', {'key': 'currency'}, as_bunch=True)
        other = self.invoke('settings.get', '{"key": "missing"}', data_format=DATA_FORMAT.JSON)
        try:
            self.patterns.invoke_retry.invoke('settings.broken', repeats=1, seconds=0.01)
        except ZatoException as e:
            error = e.args[0]
        out = Bunch({'currency': response.setting.value, 'missing': other['setting']['value']})
        out.error = error
        self.response.payload = out.toJSON(sort_keys=True)
        self.response.content_type = 'application/json'


class Broken(Service):
    name = 'settings.broken'

    def handle(self):
        raise Exception('Never works')
