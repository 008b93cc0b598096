"""Zato's modules and the names in them that a service's file commonly imports."""

import dataclasses
import json
import typing
from collections.abc import Callable, Iterator
from typing import Any

from zato_lite.service import elements
from zato_lite.service.base import BlockingService
from zato_lite.service.bunch import Bunch, as_bunch
from zato_lite.service.model import Model
from zato_lite.service.request import Request, Response
from zato_lite.zato import exceptions


class Service(BlockingService[Any, Any]):
    """Zato's base class: a plain ``handle``, and calls that return what they are asked for."""

    # Nobody can invoke the base class itself.
    DONT_DEPLOY = True


class AdminService(Service):
    """Zato's base class of administrative services."""

    DONT_DEPLOY = True


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

_TYPES: dict[str, Any] = {
    "any_": Any,
    "anydict": dict[str, Any],
    "anylist": list[Any],
    "anynone": Any,
    "anytuple": tuple[Any, ...],
    "boolnone": bool | None,
    "byteslist": list[bytes],
    "callable_": Callable[..., Any],
    "cast_": typing.cast,
    "dict_": dict,
    "dictlist": list[dict[str, Any]],
    "dictnone": dict[str, Any] | None,
    "floatnone": float | None,
    "generator_": Iterator,
    "intdict": dict[int, int],
    "intlist": list[int],
    "intnone": int | None,
    "list_": list,
    "listnone": list[Any] | None,
    "optional": typing.Optional,
    "set_": set,
    "strdict": dict[str, Any],
    "strlist": list[str],
    "strnone": str | None,
    "strset": set[str],
    "strstrdict": dict[str, str],
    "strtuple": tuple[str, ...],
    "tuple_": tuple,
    "type_": type,
    "union_": typing.Union,
}

_EXCEPTIONS = {
    name: value
    for name, value in vars(exceptions).items()
    if isinstance(value, type) and issubclass(value, Exception)
}

MODULES: dict[str, dict[str, Any]] = {
    "zato": {},
    "zato.common": {},
    "zato.common.api": {},
    "zato.common.exception": _EXCEPTIONS,
    "zato.common.ext": {},
    "zato.common.ext.bunch": {"Bunch": Bunch, "bunchify": as_bunch},
    "zato.common.ext.dataclasses": {
        "dataclass": dataclasses.dataclass,
        "field": dataclasses.field,
    },
    "zato.common.json_": {"dumps": json.dumps, "loads": json.loads},
    "zato.common.json_internal": {"dumps": json.dumps, "loads": json.loads},
    "zato.common.marshal_": {},
    "zato.common.marshal_.api": {"Model": Model},
    "zato.common.typing_": _TYPES,
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
"""Modules by their full names, and what each has."""
