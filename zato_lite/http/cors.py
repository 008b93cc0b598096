"""CORS policy: the pages of other origins that may call the server. Pure."""

from collections.abc import Mapping
from typing import NamedTuple

from zato_lite.errors import ConfigError

ANY = "*"


class CorsPolicy(NamedTuple):
    """The origins of pages that may call the server.

    Attributes:
        origins: such as ``https://app.example``; ``*`` for any.
        methods, headers: those that they may send.
        exposed: headers of answers that they may read.
        has_credentials: they may send cookies and remembered passwords.
        max_age: seconds for which browsers keep these permissions.
    """

    origins: frozenset[str] = frozenset()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    has_credentials: bool = False
    max_age: int = 600

    def checked(self) -> "CorsPolicy":
        """Return the policy.

        Raises:
            ConfigError: any origin could act with its users' passwords.
        """
        if ANY in self.origins and self.has_credentials:
            raise ConfigError(
                "[server] cors_credentials: not allowed with cors_origins '*'; list the origins"
            )
        return self

    def permits(self, origin: bytes | None) -> bool:
        """Return True if pages of the origin may call the server."""
        if origin is None or not self.origins:
            return False
        return ANY in self.origins or origin.decode("latin-1").lower() in self.origins

    def admits(self, headers: Mapping[bytes, bytes]) -> bool:
        """Return True if a page of another origin may send these credentials.

        Browsers add cookies and remembered passwords to any page's requests; a key is the page's.
        """
        if not self.permits(headers.get(b"origin")):
            return False
        if self.has_credentials:
            return True
        if (authorization := headers.get(b"authorization")) is not None:  # it counts before a key
            return authorization[:7].lower() == b"bearer "
        return b"x-api-key" in headers or b"cookie" not in headers


NO_ORIGIN = CorsPolicy()
