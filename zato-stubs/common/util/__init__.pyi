from zato_lite.zato.util import *
