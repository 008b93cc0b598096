# Receives messages from the scheduler: no programming is needed to schedule it, only a job whose
# service is `message-receiver.my-service`. The job's extra data is in self.request.raw_request.

# zato-lite
from zato_lite import Service


class MyService(Service):
    async def handle(self):
        self.logger.info("Message received: %s", self.request.raw_request)
