# -*- coding: utf-8 -*-

# Zato
from zato.common.api import CHANNEL, SCHEDULER, ZATO_OK
from zato.server.service import Service

class Attributes(Service):

    def handle(self):
        self.environ.seen = True
        self.log_input('Received')
        self.response.payload = {
            'impl_name': self.impl_name,
            'in_reply_to': self.in_reply_to,
            'environ': self.environ.seen,
            'usage': self.usage,
            'is_naive': self.invocation_time.tzinfo is None,
            'is_invoke': self.channel.type == CHANNEL.INVOKE,
            'result': self.response.result == ZATO_OK,
            'job_type': SCHEDULER.JOB_TYPE.CRON_STYLE,
            'method': self.wsgi_environ.get('REQUEST_METHOD', ''),
        }

class NotThere(Service):

    def handle(self):
        getattr(self, self.request.input.name)

class Answers(Service):

    name = 'surface-demo.answers'

    def handle(self):
        self.response.payload = self.request.payload or {'response': {'a': {'b': 1}}}

class Options(Service):

    def handle(self):
        name = 'surface-demo.answers'
        self.response.payload = {
            'plain': self.invoke(name, {'a': 1}, channel='invoke', data_format='dict'),
            'kwargs': self.invoke(name, b=2, timeout=0),
            'bunch': self.invoke(name, {'c': {'d': 3}}, as_bunch=True).c.d,
            'json': self.invoke(name, {'e': 4}, serialize=True),
            'unwrapped': self.invoke(name, skip_response_elem=True),
            'late': self.invoke('demo-sleeps', timeout=0.001, raise_timeout=False),
            'by_id': self.invoke_by_id(self.request.input.service_id, {'f': 5}),
            'new': self.new_instance(name).get_name(),
            'falsy': self.invoke(name, [], serialize=True),
        }

class Threads(Service):

    def add(self, a, b=0):
        return self.invoke('surface-demo.answers', a + b)

    def fail(self):
        raise ValueError('not today')

    def handle(self):
        spawned = self.spawn(self.add, 1, b=2)
        failed = self.spawn(self.fail)
        failed.join(5)
        self.response.payload = [spawned.get(timeout=5), spawned.ready(), spawned.value, self.run_in_thread(self.add, 3, 4), failed.value]

class CallsBack(Service):

    def handle(self):
        self.invoke_async('surface-demo.answers', {'a': 1})
        self.invoke_async('surface-demo.answers', {'a': 1}, callback=['surface-demo.options'], delay=5)
        self.invoke_async('surface-demo.answers', callback=self, to_json_string=True)

class CallsBackMany(Service):

    def handle(self):
        self.invoke_async('surface-demo.answers', callback=['surface-demo.options', 'surface-demo.threads'])

class Callback(Service):

    name = 'surface-demo.calls-back-async-callback'

    def handle(self):
        pass

class Form(Service):

    def handle(self):
        self.response.payload = {'post': self.request.http.POST.get('a', ''), 'get': self.request.http.GET.b}

class InWords(Service):

    def handle(self):
        self.schedule.onetime(self, 'surface-demo.form', start_date='July 29 2027 11:35')
