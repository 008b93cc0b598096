"""Short names for types, as services written for Zato import them from ``zato.common.typing_``."""

from dataclasses import (
    MISSING,
    Field,
    FrozenInstanceError,
    InitVar,
    asdict,
    astuple,
    dataclass,
    field,
    fields,
    is_dataclass,
    make_dataclass,
    replace,
)
from datetime import date, datetime
from datetime import datetime as DateTimeWithZone  # noqa: N812 - Zato's name
from decimal import Decimal
from pathlib import Path
from types import ModuleType, UnionType
from typing import IO as io_
from typing import Any, Protocol, TypedDict, get_args, get_origin
from typing import Any as any_
from typing import BinaryIO as binaryio_
from typing import Callable as callable_  # noqa: UP035 - Zato's
from typing import Generator as generator_  # noqa: UP035 - Zato's
from typing import Iterator as iterator_  # noqa: UP035 - Zato's
from typing import NoReturn as noreturn
from typing import Optional as optional
from typing import TextIO as textio_
from typing import Tuple as tuple_  # noqa: UP035 - Zato's
from typing import TypeAlias as typealias_
from typing import TypeVar as typevar_
from typing import Union as union_
from typing import cast as cast_

from msgspec import convert

from zato_lite.zato.model import Model
from zato_lite.zato.model import Model as BaseModel

__all__ = [
    "MISSING",
    "BaseModel",
    "DateTimeWithZone",
    "Field",
    "FrozenInstanceError",
    "InitVar",
    "ModuleType",
    "Path",
    "Protocol",
    "TypedDict",
    "any_",
    "anydict",
    "anydictnone",
    "anylist",
    "anylistnone",
    "anynone",
    "anyset",
    "anytuple",
    "asdict",
    "astuple",
    "binaryio_",
    "boolnone",
    "byteslist",
    "bytesnone",
    "callable_",
    "callnone",
    "cast_",
    "commondict",
    "commoniter",
    "dataclass",
    "date",
    "date_",
    "datetime",
    "datetime_",
    "datetimez",
    "decimal_",
    "decnone",
    "dict_",
    "dict_field",
    "dictlist",
    "dictnone",
    "dictorlist",
    "dtnone",
    "extract_from_union",
    "field",
    "fields",
    "floatnone",
    "from_dict",
    "generator_",
    "instance_from_dict",
    "intanydict",
    "intdict",
    "intdictdict",
    "intlist",
    "intlistempty",
    "intlistnone",
    "intnone",
    "intset",
    "intsetdict",
    "intstrdict",
    "io_",
    "iobytes_",
    "is_dataclass",
    "is_union",
    "isotimestamp",
    "iterator_",
    "list_",
    "list_field",
    "listnone",
    "listorstr",
    "listtuple",
    "make_dataclass",
    "model",
    "modelnone",
    "module_",
    "noreturn",
    "optional",
    "path_",
    "pathlist",
    "replace",
    "set_",
    "str_",
    "stranydict",
    "strbooldict",
    "strbytes",
    "strcalldict",
    "strdict",
    "strdictdict",
    "strdictlist",
    "strdictlistnone",
    "strdictnone",
    "strfloatdict",
    "strint",
    "strintbool",
    "strintdict",
    "strintnone",
    "strlist",
    "strlistdict",
    "strlistempty",
    "strlistnone",
    "strnone",
    "strordict",
    "strordictnone",
    "strorfloat",
    "stroriter",
    "strorlist",
    "strorlistnone",
    "strset",
    "strsetdict",
    "strstrdict",
    "strtuple",
    "textio_",
    "textionone",
    "tuple_",
    "tuplist",
    "tupnone",
    "type_",
    "typealias_",
    "typevar_",
    "union_",
]

date_ = date
datetime_ = datetime
datetimez = datetime
decimal_ = Decimal
dict_ = dict
isotimestamp = str
list_ = list
model = type[Model]
modelnone = type[Model] | None
module_ = ModuleType
path_ = Path
set_ = set
str_ = str
type_ = type

anydict = dict[Any, Any]
anydictnone = dict[Any, Any] | None
anylist = list[Any]
anylistnone = list[Any] | None
anynone = Any | None
anyset = set[Any]
anytuple = tuple[Any, ...]
boolnone = bool | None
byteslist = list[bytes]
bytesnone = bytes | None
callnone = callable_[..., Any] | None
commondict = dict[str, int | str | bool | float | dict[Any, Any] | list[Any] | datetime | None]
commoniter = list[Any] | tuple[Any, ...]
decnone = Decimal | None
dictlist = list[dict[Any, Any]]
dictnone = dict[Any, Any] | None
dictorlist = dict[Any, Any] | list[Any]
dtnone = datetime | None
floatnone = float | None
intanydict = dict[int, Any]
intdict = dict[int, int]
intdictdict = dict[int, dict[Any, Any]]
intlist = list[int]
intlistempty = list[int | None]
intlistnone = list[int] | None
intnone = int | None
intset = set[int]
intsetdict = dict[int, set[Any]]
intstrdict = dict[int, str]
iobytes_ = io_[bytes]
listnone = list[Any] | None
listorstr = list[Any] | str
listtuple = tuple[list[Any], list[Any]]
pathlist = list[Path]
stranydict = dict[str, Any]
strbooldict = dict[str, bool]
strbytes = str | bytes
strcalldict = dict[str, callable_[..., Any]]
strdict = dict[str, Any]
strdictdict = dict[str, dict[Any, Any]]
strdictlist = list[dict[str, Any]]
strdictlistnone = list[dict[str, Any]] | None
strdictnone = dict[str, Any] | None
strfloatdict = dict[str, float]
strint = str | int
strintbool = str | int | bool
strintdict = dict[str, int]
strintnone = str | int | None
strlist = list[str]
strlistdict = dict[str, list[Any]]
strlistempty = list[str | None]
strlistnone = list[str] | None
strnone = str | None
strordict = str | dict[Any, Any]
strordictnone = str | dict[Any, Any] | None
strorfloat = str | float
stroriter = str | list[Any] | tuple[Any, ...]
strorlist = str | list[Any]
strorlistnone = str | list[Any] | None
strset = set[str]
strsetdict = dict[str, set[Any]]
strstrdict = dict[str, str]
strtuple = tuple[str, ...]
textionone = textio_
tuplist = list[Any] | tuple[Any, ...]
tupnone = tuple[Any, ...] | None


def list_field() -> Any:
    """Declare a field whose default is an empty list."""
    return field(default_factory=list)


def dict_field() -> Any:
    """Declare a field whose default is an empty dictionary."""
    return field(default_factory=dict)


def from_dict(data_class: Any, data: dict[str, Any], config: Any = None) -> Any:
    """Create the dataclass that the dictionary describes."""
    return convert(data, data_class)


def instance_from_dict(class_: Any, data: dict[str, Any]) -> Any:
    """Create an instance with the dictionary's values as its attributes."""
    made = class_()
    for name, value in data.items():
        setattr(made, name, value)
    return made


def is_union(elem: Any) -> bool:
    """Return True for a union of types."""
    return get_origin(elem) in (union_, UnionType)


def extract_from_union(elem: Any) -> tuple[Any, Any, Any]:
    """Return the arms of a union, its first arm, and its second arm."""
    arms = get_args(elem)
    return arms, arms[0], arms[1]
