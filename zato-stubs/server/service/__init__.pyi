from dataclasses import dataclass as dataclass
from dataclasses import field as field

from zato_lite.service.request import Request as Request
from zato_lite.service.request import Response as Response
from zato_lite.zato.bunch import Bunch as Bunch
from zato_lite.zato.elements import CSV as CSV
from zato_lite.zato.elements import UUID as UUID
from zato_lite.zato.elements import AsIs as AsIs
from zato_lite.zato.elements import Bool as Bool
from zato_lite.zato.elements import Date as Date
from zato_lite.zato.elements import DateTime as DateTime
from zato_lite.zato.elements import Decimal as Decimal
from zato_lite.zato.elements import Dict as Dict
from zato_lite.zato.elements import DictList as DictList
from zato_lite.zato.elements import Float as Float
from zato_lite.zato.elements import Int as Int
from zato_lite.zato.elements import List as List
from zato_lite.zato.elements import Opaque as Opaque
from zato_lite.zato.elements import Text as Text
from zato_lite.zato.exceptions import ZatoException as ZatoException
from zato_lite.zato.model import Model as Model
from zato_lite.zato.service import Service as Service

AsIsType = AsIs
Boolean = Bool
Integer = Int
ListOfDicts = DictList
UTC = DateTime
Unicode = Text
