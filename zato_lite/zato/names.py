"""Zato's modules, with the names that files of services commonly import."""

import dataclasses
import json
from typing import Any

from zato_lite.outgoing.mail import SMTPMessage
from zato_lite.service.request import Request, Response
from zato_lite.zato import api, elements, exceptions, typing_, util
from zato_lite.zato.bunch import Bunch, bunchify, unbunchify
from zato_lite.zato.model import Model
from zato_lite.zato.service import AdminService, Service

_ELEMENTS: dict[str, Any] = {
    name: getattr(elements, name)
    for name in (
        "AsIs",
        "Bool",
        "CSV",
        "Date",
        "DateTime",
        "Decimal",
        "Dict",
        "DictList",
        "Float",
        "Int",
        "List",
        "Opaque",
        "Text",
        "UTC",
        "UUID",
    )
}

_EXCEPTIONS: dict[str, Any] = {name: getattr(exceptions, name) for name in exceptions.__all__}

_API: dict[str, Any] = {
    **{name: getattr(api, name) for name in api.__all__},
    "SMTPMessage": SMTPMessage,
}

_BUNCH = {"Bunch": Bunch, "bunchify": bunchify, "unbunchify": unbunchify}

_UTIL = {name: getattr(util, name) for name in util.__all__}

MODULES: dict[str, dict[str, Any]] = {
    "zato": {},
    "zato.common": {**_API, **_EXCEPTIONS},
    "zato.common.api": _API,
    "zato.common.exception": _EXCEPTIONS,
    "zato.common.ext": {},
    "zato.common.ext.bunch": _BUNCH,
    "zato.common.ext.dataclasses": {
        "dataclass": dataclasses.dataclass,
        "field": dataclasses.field,
    },
    "zato.common.json_": {"dumps": json.dumps, "loads": json.loads},
    "zato.common.json_internal": {"dumps": json.dumps, "loads": json.loads},
    "zato.common.marshal_": {},
    "zato.common.marshal_.api": {"Model": Model},
    "zato.common.typing_": {name: getattr(typing_, name) for name in typing_.__all__},
    "zato.common.util": _UTIL,
    "zato.common.util.api": _UTIL,
    "zato.server": {},
    "zato.server.connection": {},
    "zato.server.connection.http_soap": _EXCEPTIONS,
    "zato.server.service": {
        **_ELEMENTS,
        "Boolean": elements.Bool,
        "Bunch": Bunch,
        "Float": elements.Float,
        "Integer": elements.Int,
        "ListOfDicts": elements.DictList,
        "Model": Model,
        "Request": Request,
        "Response": Response,
        "Service": Service,
        "Unicode": elements.Text,
        "ZatoException": exceptions.ZatoException,
        "dataclass": dataclasses.dataclass,
        "field": dataclasses.field,
        "AsIsType": elements.AsIs,
    },
    "zato.server.service.internal": {"AdminService": AdminService, "Service": Service},
    "zato.server.service.internal.helpers": {"Service": Service},
}
"""Names of each module, by the module's full name."""

LIBRARIES: dict[str, dict[str, Any]] = {
    "anyjson": {
        "deserialize": json.loads,
        "dumps": json.dumps,
        "loads": json.loads,
        "serialize": json.dumps,
    },
    "bunch": _BUNCH,
}
"""The same of libraries that Zato brings along and that current Pythons cannot install."""
