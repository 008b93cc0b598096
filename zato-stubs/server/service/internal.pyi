from zato_lite.zato.service import AdminService as AdminService
