from zato_lite.outgoing.mail import SMTPMessage as SMTPMessage
