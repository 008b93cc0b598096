from zato_lite.zato.service import AdminService as AdminService
from zato_lite.zato.service import Service as Service
