# -*- coding: utf-8 -*-

# stdlib
from dataclasses import dataclass

# Zato
from zato.common.typing_ import anydictnone, dtnone, intnone, list_, list_field, stranydict, strlistnone
from zato.server.service import Model, Service

@dataclass(init=False)
class User(Model):
    name: str
    age: intnone
    tags: strlistnone
    seen: dtnone
    extra: anydictnone

@dataclass(init=False)
class Wanted(Model):
    options: stranydict
    names: list_[str] = list_field()

class GetList(Service):
    """ Returns a list of models, though it declares one.
    """
    input = Wanted
    output = User

    def handle(self):
        out = []
        for name in self.request.input.names:
            user = User()
            user.name = name
            out.append(user)
        self.response.payload = out

class GetRepeated(Service):

    class SimpleIO:
        output = User
        output_repeated = True

    def handle(self):
        self.response.payload[:] = [{'name': 'ann', 'age': 41}]

class GetOne(Service):

    output = User

    def handle(self):
        self.response.payload.name = 'bob'
        self.response.payload.tags = ['a']
