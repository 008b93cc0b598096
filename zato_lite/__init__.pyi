from zato_lite.errors import BadInputError as BadInputError
from zato_lite.errors import ConflictError as ConflictError
from zato_lite.errors import DeadlineError as DeadlineError
from zato_lite.errors import FieldError as FieldError
from zato_lite.errors import ForbiddenError as ForbiddenError
from zato_lite.errors import NotFoundError as NotFoundError
from zato_lite.errors import ZatoLiteError as ZatoLiteError
from zato_lite.service.attribute_dict import Config as Config
from zato_lite.service.base import Service as Service
from zato_lite.service.blocking import BlockingService as BlockingService
from zato_lite.service.moments import on_start as on_start
from zato_lite.service.moments import on_stop as on_stop
from zato_lite.service.needs import needs as needs
from zato_lite.service.resource import resource as resource
from zato_lite.service.schedule import cron as cron
from zato_lite.service.schedule import every as every
from zato_lite.transactional import create_job as create_job
from zato_lite.transactional import enqueue as enqueue
from zato_lite.zato.elements import Bool as Bool
from zato_lite.zato.elements import Dict as Dict
from zato_lite.zato.elements import DictList as DictList
from zato_lite.zato.elements import Float as Float
from zato_lite.zato.elements import Int as Int
from zato_lite.zato.elements import List as List
from zato_lite.zato.elements import Text as Text
from zato_lite.zato.model import Model as Model

__version__: str
