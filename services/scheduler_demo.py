# -*- coding: utf-8 -*-

# Zato
from zato.server.service import Service

class MyTarget(Service):

    async def handle(self):
        self.logger.warn('I was invoked with %s', self.request.input)

class Scheduler(Service):

    async def handle(self):

        # This can be used to make it easier to understand which scheduled job is which
        prefix = 'user@example.com'

        # This is what the target service is going to receive on input
        data = {
            'my.key': 'my.value'
        }

        # This is when the job should start, note that the time must be in UTC
        start_date = '2027-07-29 11:35:49'

        # This is the call that schedules the job
        await self.schedule.onetime(self, MyTarget, prefix=prefix, start_date=start_date, data=data)
