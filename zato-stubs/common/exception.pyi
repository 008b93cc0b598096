from zato_lite.zato.exceptions import *
