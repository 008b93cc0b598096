from zato_lite.zato.service import Service as Service
