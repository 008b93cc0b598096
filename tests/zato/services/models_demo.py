# -*- coding: utf-8 -*-

# stdlib
from dataclasses import dataclass

# Zato
from zato.common.typing_ import list_, optional, strlist
from zato.server.service import Model, Service

@dataclass(init=False)
class Phone(Model):
    imei: str
    owner: optional[str]

@dataclass(init=False)
class GetPhoneListRequest(Model):
    client_id: int
    tags: optional[strlist]

@dataclass(init=False)
class GetPhoneListResponse(Model):
    phone_list: list_[Phone]
    total: int = 0

class GetPhoneList(Service):

    class SimpleIO:
        input = GetPhoneListRequest
        output = GetPhoneListResponse

    def handle(self):

        # Enable type checking and type completion
        request = self.request.input # type: GetPhoneListRequest

        self.logger.info('Processing client `%s`', request.client_id)

        phone = Phone()
        phone.imei = '123'
        phone.owner = 'John Doe'

        response = GetPhoneListResponse()
        response.phone_list = [phone]
        response.total = 1

        self.response.payload = response
