from zato_lite.errors import BadInputError as BadInputError
from zato_lite.errors import ConflictError as ConflictError
from zato_lite.errors import ForbiddenError as ForbiddenError
from zato_lite.errors import MethodNotAllowedError as MethodNotAllowedError
from zato_lite.errors import NotFoundError as NotFoundError
from zato_lite.errors import ServiceInactiveError as ServiceInactiveError
from zato_lite.errors import ServiceMissingError as ServiceMissingError
from zato_lite.errors import TooManyRequestsError as TooManyRequestsError
from zato_lite.errors import UnauthorizedError as UnauthorizedError
from zato_lite.errors import UnavailableError as UnavailableError
from zato_lite.errors import ZatoLiteError as ZatoLiteError
from zato_lite.zato.exceptions import BadRequest as BadRequest
from zato_lite.zato.exceptions import Conflict as Conflict
from zato_lite.zato.exceptions import Forbidden as Forbidden
from zato_lite.zato.exceptions import HTTPException as HTTPException
from zato_lite.zato.exceptions import InternalServerError as InternalServerError
from zato_lite.zato.exceptions import MethodNotAllowed as MethodNotAllowed
from zato_lite.zato.exceptions import NotFound as NotFound
from zato_lite.zato.exceptions import ServiceUnavailable as ServiceUnavailable
from zato_lite.zato.exceptions import TooManyRequests as TooManyRequests
from zato_lite.zato.exceptions import Unauthorized as Unauthorized
from zato_lite.zato.exceptions import ZatoException as ZatoException

Inactive = ServiceInactiveError
Reportable = HTTPException
ServiceMissingException = ServiceMissingError
