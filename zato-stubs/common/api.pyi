from zato_lite.zato.api import *
