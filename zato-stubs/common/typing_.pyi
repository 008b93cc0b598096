from zato_lite.zato.typing_ import *
