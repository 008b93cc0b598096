"""Key ring: hashes passwords and issues keys for services; forgets cached credentials."""

from collections.abc import Collection

from zato_lite.http.auth import Authenticator
from zato_lite.http.passwords import Passwords, new_key
from zato_lite.store.accounts import NewKey


class KeyRing:
    """Issues credentials.

    Attributes:
        authenticator: set when the HTTP edge is opened; caches credentials that it has checked.
    """

    def __init__(self) -> None:
        self.authenticator: Authenticator | None = None
        self._passwords: Passwords | None = None

    @property
    def passwords(self) -> Passwords:
        """The password hasher; created at the first use, because it starts threads."""
        if self._passwords is None:
            self._passwords = Passwords()
        return self._passwords

    async def hash(self, password: str) -> str:
        """Return the hash of a password."""
        return await self.passwords.hash(password)

    def new_key(self, name: str = "") -> NewKey:
        """Return a new random API key, with this public part or a new one."""
        return new_key(name)

    def forget(self) -> None:
        """Forget cached credentials, so that changes of accounts take effect."""
        if self.authenticator is not None:
            self.authenticator.forget()

    def forget_sessions(self, hashes: Collection[str]) -> None:
        """Forget the callers of these sessions, which have ended."""
        if self.authenticator is not None:
            self.authenticator.forget_sessions(hashes)

    def close(self) -> None:
        """Stop the password hasher."""
        if self._passwords is not None:
            self._passwords.close()
