"""First start: how the admin gets a password that no log and no terminal has shown.

It comes from the environment; or on a terminal from the admin, by a link that is valid once; or
else it is generated, and written to a private file.
"""

import logging
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from zato_lite.clock import Clock
from zato_lite.errors import ConfigError
from zato_lite.http.passwords import Passwords, password_of
from zato_lite.store.accounts import ADMIN, MIN_PASSWORD, Accounts, Credential
from zato_lite.store.private import write_secret
from zato_lite.store.sessions import PasswordCodes

PATH = "/zato/set-password"
FILE_NAME = "admin-password"

_CODE_MINUTES = 15
_CODE_US = _CODE_MINUTES * 60 * 1_000_000

_log = logging.getLogger(__name__)


def admin_with(hashed: str) -> Credential:
    """Return the first admin with the hash of its password."""
    return Credential("user", ADMIN, hashed, frozenset({"admin"}))


async def apply_environment(
    accounts: Accounts, passwords: Passwords, environ: Mapping[str, str]
) -> bool:
    """Set the admin's password if the environment has one; return True if the admin exists now.

    ``ZATO_LITE_ADMIN_PASSWORD``, or the file that ``ZATO_LITE_ADMIN_PASSWORD_FILE`` names, sets
    it at every start.
    """
    given = password_of(environ)
    admin = await accounts.find("user", ADMIN)
    if given is None:
        return admin is not None
    if len(given) < MIN_PASSWORD:
        _log.warning("admin password short", extra={"user": ADMIN, "needed": MIN_PASSWORD})
    if admin is None or not await passwords.matches(admin.hash, given):
        await accounts.save(admin_with(await passwords.hash(given)))
    return True


async def generate_admin(accounts: Accounts, passwords: Passwords, folder: Path) -> Path | None:
    """Create the admin with a random password; return the private file that has it.

    None if another process has created the admin meanwhile.

    Raises:
        ConfigError: the file cannot be written; the admin was not created.
    """
    password, path = secrets.token_urlsafe(18), folder / FILE_NAME
    waiting = folder / f"{FILE_NAME}.{secrets.token_hex(4)}"
    hashed = await passwords.hash(password)
    try:
        # First the file: after a crash in between there is no admin with a lost password.
        write_secret(waiting, f"{password}\n")
        if not await accounts.add(admin_with(hashed)):
            return None
        waiting.replace(path)
    except OSError as error:
        raise ConfigError(f"the admin's password cannot be written: {error}") from error
    finally:
        with suppress(OSError):
            waiting.unlink(missing_ok=True)
    _log.warning("admin password generated", extra={"user": ADMIN, "file": str(path)})
    return path


async def invite_admin(accounts: Accounts, codes: PasswordCodes, clock: Clock) -> str | None:
    """Return the path and query of a link to set the admin's password; None if it has one."""
    if await accounts.find("user", ADMIN) is not None:
        return None
    code = secrets.token_urlsafe(32)
    await codes.save(code, ADMIN, clock.now() + _CODE_US)
    return f"{PATH}?code={code}"


def invitation(link: str) -> str:
    """Return the words that show a link on a terminal."""
    return (
        f"\nOpen this link within {_CODE_MINUTES} minutes to set the password of {ADMIN};"
        f" it is valid once:\n\n    {link}\n"
    )
