"""Delivery of notifications to URLs and mail servers, in threads of their own.

Imported when the first notification is sent, since its libraries are slow to import. The
underscore keeps it out of the search for built-in services, which would import it at the start.
"""

import http.client
import ipaddress
import smtplib
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import anyio
import anyio.to_thread

from zato_lite.config import Notify

Result = TypeVar("Result")

_LIMITER = anyio.CapacityLimiter(16)
"""Deliveries that run at the same time; further ones wait for one of those to end."""


async def deliver(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call ``post`` or ``send`` in a thread and return the result.

    A receiver that does not answer delays deliveries only: asyncio's own few threads stay free
    for backups and previews.
    """
    return await anyio.to_thread.run_sync(
        function, *arguments, limiter=_LIMITER, abandon_on_cancel=True
    )


def build_mail(subject: str, fields: Mapping[str, Any], settings: Notify) -> EmailMessage:
    """Return the mail with one line for each field."""
    message = EmailMessage()
    message["Subject"] = subject
    message["From"] = settings.mail_from
    message["To"] = ", ".join(settings.mail_to)
    message.set_content("\n".join(f"{key}: {value}" for key, value in fields.items()) + "\n")
    return message


def post(url: str, body: bytes, settings: Notify) -> int:
    """Send the body to a URL; return the status of the response.

    A redirection counts as a failure: it could lead to an address that the settings do not allow.

    Raises:
        OSError: it was not accepted; the text does not repeat the URL, whose path may be a secret.
        ValueError: the settings do not allow the URL.
    """
    check_webhook(url, settings)
    headers = {"Content-Type": "application/json", "User-Agent": "zato-lite"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310
    opener = _opener(only_public=not settings.webhook_private_addresses)
    try:
        with opener.open(request, timeout=settings.timeout) as response:
            status: int = response.status
            return status
    except urllib.error.HTTPError as error:
        error.close()
        raise OSError(f"answered with status {error.code}") from None
    except urllib.error.URLError as error:
        raise OSError(f"cannot connect: {error.reason}") from None


def check_webhook(url: str, settings: Notify) -> None:
    """Check a URL against the settings.

    Raises:
        ValueError: it is not an HTTP URL with a host, or the host is not in ``webhook_hosts``.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a webhook's URL must begin with http:// or https:// and name a host")
    allowed = settings.webhook_hosts
    if allowed and not any(_is_within(parts.hostname, pattern) for pattern in allowed):
        raise ValueError(f"host {parts.hostname!r} is not in [notify] webhook_hosts")


def host_of(url: str) -> str:
    """Return the host of a URL, for messages."""
    try:
        return urlsplit(url).hostname or "webhook"
    except ValueError:
        return "webhook"


def _is_within(host: str, pattern: str) -> bool:
    """Return True if the host is the pattern, or below it if the pattern begins with ``*.``."""
    host, pattern = host.lower(), pattern.lower()
    return host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern


class _PublicHTTPConnection(http.client.HTTPConnection):
    """Connection that sends nothing to an address outside the public internet."""

    def connect(self) -> None:
        super().connect()
        _check_public(self)


class _PublicHTTPSConnection(http.client.HTTPSConnection):
    """Connection that sends nothing but its TLS greeting to an address that is not public."""

    def connect(self) -> None:
        super().connect()
        _check_public(self)


def _check_public(connection: http.client.HTTPConnection) -> None:
    # The peer's own address is checked, after the connection: a name may resolve differently
    # from one look-up to the next.
    address = ipaddress.ip_address(connection.sock.getpeername()[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if not address.is_global or address.is_multicast:
        connection.close()
        raise OSError(f"address {address} is not public; see [notify] webhook_private_addresses")


class _PublicHTTPHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_PublicHTTPConnection, req)


class _PublicHTTPSHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> Any:
        context = ssl.create_default_context()
        return self.do_open(_PublicHTTPSConnection, req, context=context)


def _opener(only_public: bool) -> urllib.request.OpenerDirector:
    """Return an opener for http and https that follows no redirections.

    Proxies of the environment are used unless only public addresses are allowed, as the address
    of a proxy says nothing of the receiver's.
    """
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ]
    if only_public:
        handlers += [_PublicHTTPHandler(), _PublicHTTPSHandler()]
    else:
        handlers += [
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
        ]
    for handler in handlers:
        opener.add_handler(handler)
    return opener


def send(message: EmailMessage, settings: Notify) -> None:
    """Hand the message to the mail server.

    Raises:
        OSError: it was not accepted; smtplib's errors are of this type.
    """
    host, port, timeout = settings.smtp_host, settings.smtp_port, settings.timeout
    context = ssl.create_default_context()
    opened: smtplib.SMTP
    if settings.smtp_tls == "tls":
        opened = smtplib.SMTP_SSL(host, port, timeout=timeout, context=context)
    else:
        opened = smtplib.SMTP(host, port, timeout=timeout)
    with opened as server:
        if settings.smtp_tls == "starttls":
            server.starttls(context=context)
        if settings.smtp_user:
            password = Path(settings.smtp_password_file).read_text(encoding="utf-8").strip()
            server.login(settings.smtp_user, password)
        server.send_message(message)
