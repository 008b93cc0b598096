"""Services in Zato's style, with types; type checkers read this file, and no test runs it."""

from dataclasses import dataclass
from typing import Any, assert_type

from zato.common.api import CHANNEL
from zato.common.exception import BadRequest, NotFound
from zato.common.typing_ import (
    any_,
    anydict,
    cast_,
    dict_,
    intnone,
    list_,
    list_field,
    optional,
    strdict,
    strlist,
    strnone,
    union_,
)
from zato.server.service import Int, Model, Service


@dataclass(init=False)
class Phone(Model):
    imei: str
    owner: strnone


@dataclass(init=False)
class GetPhones(Model):
    client_id: int
    tags: strlist = list_field()
    note: optional[str] = None
    either: union_[int, str] = 0


@dataclass(init=False)
class Phones(Model):
    phones: list_[Phone]
    total: intnone


class GetPhoneList(Service):
    """The usual one."""

    input = GetPhones
    output = Phones

    def handle(self) -> None:
        request: GetPhones = self.request.input
        assert_type(request.note, str | None)
        if self.channel.type != CHANNEL.INVOKE:
            raise BadRequest(self.cid, "Only from other services")

        phone = Phone()
        phone.imei = "123"
        phone.owner = None
        response = Phones()
        response.phones = [phone]
        response.total = len(response.phones)
        self.response.payload = response


class Uses(Service):
    input = "name", Int("-count")

    def handle(self) -> None:
        answer: strdict = self.invoke("crm.get", {"a": 1}, as_bunch=True, timeout=5)
        by_class = cast_("anydict", self.invoke(GetPhoneList, client_id=1))
        job = self.schedule.onetime(self, GetPhoneList, prefix="a", after_seconds=5)
        assert_type(job, int)
        both: dict_[str, any_] = self.patterns.parallel({"a": 1, "b": 2})
        with self.lock("a", ttl=5) as lock:
            assert_type(lock.token, int)
        self.invoke_async("crm.get", {"a": 1}, callback=[GetPhoneList])
        self.invoke("crm.get", {"a": 1}, serialise=True)
        self.logger.warning("Got %s", answer)
        if not by_class:
            raise NotFound(self.cid, "Nothing")
        self.response.payload = {**answer, **both, "at": self.time.utcnow()}


def helper(data: anydict) -> Any:
    return data
