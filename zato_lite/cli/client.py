"""A small HTTP client for the command line: one request, standard library only."""

import base64
import urllib.error
import urllib.request

from zato_lite.errors import BadInputError, UnavailableError


def call(url: str, user: str, password: str, service: str, payload: str) -> tuple[int, str]:
    """Invoke a service of the server at ``url``; the status and the text of its answer.

    Raises:
        BadInputError: the URL is none of HTTP.
        UnavailableError: nobody answers there.
    """
    if not url.startswith(("http://", "https://")):
        raise BadInputError(f"--url: {url!r} does not begin with http:// or https://")
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    request = urllib.request.Request(  # noqa: S310
        f"{url.rstrip('/')}/zato/api/invoke/{service}",
        data=payload.encode(),
        method="POST",
        headers={"Authorization": f"Basic {credentials}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=3600) as response:  # noqa: S310
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
        raise UnavailableError(f"nobody answers at {url}: {error}") from error
