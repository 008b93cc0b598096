from zato_lite.outgoing.mail import SMTPMessage as SMTPMessage
from zato_lite.zato.api import *
from zato_lite.zato.exceptions import *
