# Schedules a one-time job in Python: invoke `scheduler-demo.scheduler`, and `scheduler-demo.my-target`
# will be invoked at the time given, with the data given in self.request.input.

# zato-lite
from zato_lite import Service


class MyTarget(Service):
    async def handle(self):
        self.logger.warning("I was invoked with %s", self.request.input)


class Scheduler(Service):
    async def handle(self):

        # This can be used to make it easier to understand which scheduled job is which
        prefix = "user@example.com"

        # This is what the target service is going to receive on input
        data = {"my.key": "my.value"}

        # This is when the job should start, note that the time must be in UTC
        start_date = "2027-07-29 11:35:49"

        # This is the call that schedules the job
        await self.schedule.onetime(
            self, MyTarget, prefix=prefix, start_date=start_date, data=data
        )
