# -*- coding: utf-8 -*-

""" E-mails invoices that are due, with a CSV of their lines. """

# stdlib
import csv
from io import StringIO

# Zato
from zato.common.api import SMTPMessage
from zato.server.service import Service

BODY = '<h1>Invoice {number}</h1><p>Please pay {total:.2f} {currency}.</p>'


class SendDue(Service):
    """ Runs each morning. """

    def handle(self):
        sent = []
        for invoice in self.out.sql['Reporting'].all('SELECT * FROM invoice WHERE sent_at IS NULL'):
            self.invoke(SendOne.get_name(), invoice)
            sent.append(invoice['number'])
        self.logger.info('Sent %d invoice(s)', len(sent), cid=self.cid)
        self.response.payload = sent

    def after_handle(self):
        self.kept = self.response.payload

    def finalize_handle(self):
        self.logger.info('Took %s ms; %r', self.processing_time, self.kept)


class SendOne(Service):
    """ Sends one invoice and marks it as sent. """

    def handle(self):
        invoice = self.request.input
        conn = self.out.sql['Reporting']
        lines = conn.all('SELECT item, price FROM invoice_line WHERE number=:number',
            {'number': invoice.number})
        msg = SMTPMessage(invoice.email, 'Invoice ' + invoice.number)
        msg.from_ = self.config.invoices.sender
        msg.body = BODY.format(number=invoice.number, total=sum(line['price'] for line in lines),
            currency=self.config.invoices.currency)
        msg.is_html = True
        msg.attach('invoice.csv', self.as_csv(lines))
        self.email.smtp['Office'].conn.send(msg)
        conn.execute('UPDATE invoice SET sent_at=:now WHERE number=:number',
            {'now': self.time.utcnow(), 'number': invoice.number})

    def as_csv(self, lines):
        out = StringIO()
        writer = csv.DictWriter(out, ['item', 'price'])
        writer.writeheader()
        writer.writerows(lines)
        return out.getvalue()
