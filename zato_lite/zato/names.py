"""Zato's modules, with the names that files of services commonly import."""

import dataclasses
import json
from typing import Any

from zato_lite.outgoing.mail import SMTPMessage
from zato_lite.service.attribute_dict import AttributeDict, with_attributes
from zato_lite.service.request import Request, Response
from zato_lite.zato import api, elements, exceptions, typing_
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

_EXCEPTIONS = {
    name: value
    for name, value in vars(exceptions).items()
    if isinstance(value, type) and issubclass(value, Exception)
}

MODULES: dict[str, dict[str, Any]] = {
    "zato": {},
    "zato.common": {"SMTPMessage": SMTPMessage},
    "zato.common.api": {
        **{name: getattr(api, name) for name in api.__all__},
        "SMTPMessage": SMTPMessage,
    },
    "zato.common.exception": _EXCEPTIONS,
    "zato.common.ext": {},
    "zato.common.ext.bunch": {"Bunch": AttributeDict, "bunchify": with_attributes},
    "zato.common.ext.dataclasses": {
        "dataclass": dataclasses.dataclass,
        "field": dataclasses.field,
    },
    "zato.common.json_": {"dumps": json.dumps, "loads": json.loads},
    "zato.common.json_internal": {"dumps": json.dumps, "loads": json.loads},
    "zato.common.marshal_": {},
    "zato.common.marshal_.api": {"Model": Model},
    "zato.common.typing_": {name: getattr(typing_, name) for name in typing_.__all__},
    "zato.server": {},
    "zato.server.service": {
        **_ELEMENTS,
        "Float": elements.Float,
        "Integer": elements.Int,
        "ListOfDicts": elements.DictList,
        "Model": Model,
        "Request": Request,
        "Response": Response,
        "Service": Service,
        "Unicode": elements.Text,
        "dataclass": dataclasses.dataclass,
        "field": dataclasses.field,
        "AsIsType": elements.AsIs,
    },
    "zato.server.service.internal": {"AdminService": AdminService},
}
"""Names of each module, by the module's full name."""
