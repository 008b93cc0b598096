# -*- coding: utf-8 -*-

""" Receives webhooks of a shop: checks the signature, stores the event, works on it later. """

# stdlib
import hmac
from hashlib import sha256
from json import loads

# Zato
from zato.common.exception import BadRequest, Forbidden
from zato.server.service import Service


class Receive(Service):
    rest = 'POST /published/webhook'

    def handle(self):
        raw = self.request.raw_request
        secret = self.user_config.shop.webhook.secret
        expected = hmac.new(secret.encode('utf8'), raw, sha256).hexdigest()
        sent = self.wsgi_environ.get('HTTP_X_SIGNATURE', '')
        if not hmac.compare_digest(expected, sent):
            raise Forbidden(self.cid, 'Invalid signature')
        try:
            event = loads(raw)
            event_id, kind = event['id'], event['kind']
        except (KeyError, ValueError):
            raise BadRequest(self.cid, 'Not an event')
        self.invoke_async(Handle.get_name(), {'id': event_id, 'kind': kind, 'data': event.get('data')})
        self.response.status_code = 202


class Handle(Service):

    def handle(self):
        event = self.request.input
        conn = self.out.sql['Reporting']
        if conn.one_or_none('SELECT id FROM event WHERE id=:id', {'id': event.id}):
            self.logger.warn('Event %s seen before', event.id)
            return
        conn.execute('INSERT INTO event (id, kind) VALUES (:id, :kind)', event_row(event))
        self.out.rest['CRM'].conn.post(self.cid, {'event': event.kind}, {'notify': 'true'})


def event_row(event):
    return {'id': event.id, 'kind': event.kind}
