# Schedules a cron-style job in Python, by invoking the built-in zato.scheduler.job.create service:
# invoke `cron-demo.my-service` once, and `my-job-1` runs each hour.

# stdlib
from datetime import datetime

# zato-lite
from zato_lite import Service


class MyService(Service):
    async def handle(self):

        #
        # We schedule a cron-style job here that will run once per hour (@hourly)
        #

        request = {
            "cluster_id": self.server.cluster_id,
            "name": "my-job-1",
            "is_active": True,
            "service": "zato.ping",
            "job_type": "cron_style",
            "start_date": datetime.utcnow().isoformat(),  # Always in UTC
            "cron_definition": "@hourly",
        }

        await self.invoke("zato.scheduler.job.create", request)
