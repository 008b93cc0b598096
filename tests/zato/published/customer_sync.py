# -*- coding: utf-8 -*-

""" Copies customers from a CRM to a local database and reports what changed. """

# stdlib
from contextlib import closing

# Zato
from zato.common import SMTPMessage
from zato.server.service import Service


class SyncCustomers(Service):
    """ Invoked by the scheduler each night. """
    name = 'crm.customer.sync'

    def handle(self):
        changed = self.store(self.get_customers())
        total = (self.cache.default.get('customers.synced') or 0) + len(changed)
        self.cache.default.set('customers.synced', total, expiry=3600)
        if changed:
            self.send_report(changed)
        self.response.payload = {'changed': changed, 'total': total}

    def get_customers(self):
        conn = self.out.rest['CRM'].conn
        response = conn.get(self.cid, {'status': 'active', 'page_size': 100})
        if not response.ok:
            raise Exception('CRM said {}'.format(response.status_code))
        return response.data['customers']

    def store(self, customers):
        changed = []
        with closing(self.outgoing.sql.get('Reporting').session()) as session:
            for item in customers:
                known = session.execute(
                    'SELECT city FROM customer WHERE id=:id', {'id': item['id']}).fetchone()
                if known and known.city == item['city']:
                    continue
                session.execute('DELETE FROM customer WHERE id=:id', {'id': item['id']})
                session.execute('INSERT INTO customer (id, name, city) VALUES (:id, :name, :city)', item)
                changed.append(item['name'])
            session.commit()
        return changed

    def send_report(self, changed):
        msg = SMTPMessage()
        msg.subject = 'Customers changed: {}'.format(len(changed))
        msg.to = 'ops@example.com'
        msg.from_ = 'zato@example.com'
        msg.body = '\n'.join(changed)
        self.email.smtp.get('Office').conn.send(msg)
