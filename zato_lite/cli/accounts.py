"""``zato-lite user`` and ``zato-lite key``: who may call the server."""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from zato_lite.cli.complete import key_names, user_names
from zato_lite.cli.options import given
from zato_lite.cli.plan import read
from zato_lite.cli.render import Column, Result
from zato_lite.cli.verb import Session, verb
from zato_lite.errors import BadInputError

_USER, _KEY = "zato.security.user", "zato.security.key"
_ROLES = ("viewer", "operator", "editor", "admin")
_USERS = (Column("name"), Column("roles"), Column("patterns"), Column("active", "is_active"))
_KEYS = (
    *_USERS,
    Column("owner"),
    Column("used", kind="when"),
    Column("expires", kind="when"),
    Column("prefix", is_wide=True),
    Column("created", kind="when", is_wide=True),
    Column("old secret until", kind="when", is_wide=True),
)

_user = click.argument("name", shell_complete=user_names)
_key = click.argument("name", shell_complete=key_names)


@click.group()
def user() -> None:
    """List, create, change and delete users."""


@click.group()
def key() -> None:
    """List, create, change, rotate and revoke API keys."""


def _rights(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options for roles and patterns."""
    for decorate in (
        click.option(
            "--pattern", "patterns", multiple=True, help="Services, as crm.*; '' for all."
        ),
        click.option("--role", "roles", multiple=True, type=click.Choice(_ROLES), help="Role."),
    ):
        function = decorate(function)
    return function


_active = click.option(
    "--active/--inactive", "is_active", default=None, help="Accept the credential, or refuse it."
)


def _expiry(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a key for its owner and its end."""
    for decorate in (
        click.option("--expires", "expires_at", help="Instant at which the key expires."),
        click.option(
            "--days", type=click.IntRange(0), help="Days until the key expires; 0 for never."
        ),
        click.option(
            "--owner",
            shell_complete=user_names,
            help="User whose key it is; by default the one who creates it; '' for none.",
        ),
    ):
        function = decorate(function)
    return function


def _given(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that options have given; an empty pattern is none."""
    return {
        name: [*filter(None, value)] if isinstance(value, tuple) else value
        for name, value in given(fields).items()
    }


def _change(session: Session, kind: str, name: str, fields: Mapping[str, Any]) -> Result:
    """Send the fields of a user or a key that options have given."""
    if not (changes := _given(fields)):
        raise BadInputError(f"no change is given; see zato-lite {kind} edit --help")
    answer = session.call(f"zato.security.{kind}.edit", changes, name=name)
    return Result(answer, text=f"changed {kind} {name}")


def _new_password(file: Path | None) -> str:
    """Return a new password: of a file, of standard input, or typed twice."""
    if file is not None:
        return read(str(file)).strip()
    if not sys.stdin.isatty():
        if line := sys.stdin.readline().rstrip("\n"):
            return line
        raise BadInputError("password missing; use --new-password-file or standard input")
    typed: str = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    return typed


_new_password_option = click.option(
    "--new-password-file",
    type=click.Path(path_type=Path),
    help="File with the new password; standard input or a prompt by default.",
)


@verb(user, "list", examples=("user list",))
def list_users(session: Session) -> Result:
    """List the users."""
    return Result(session.call(f"{_USER}.get-list"), _USERS)


@verb(
    user,
    "create",
    examples=(
        "user create ann --role editor",
        "user create bob --role operator --pattern 'crm.*'",
    ),
)
@click.argument("name")
@_rights
@_new_password_option
def create_user(
    session: Session,
    name: str,
    *,
    new_password_file: Path | None,
    **rights: Sequence[str],
) -> Result:
    """Create a user, by default a viewer."""
    new = _new_password(new_password_file)
    session.call(f"{_USER}.create", _given(rights), name=name, password=new)
    return Result({"name": name}, text=f"created user {name}")


@verb(
    user,
    "edit",
    examples=(
        "user edit ann --role admin",
        "user edit ann --change-password",
        "user edit ann --inactive",
    ),
)
@_user
@_rights
@_active
@click.option("--change-password", is_flag=True, help="Set a new password; sessions end.")
@_new_password_option
def edit_user(
    session: Session,
    name: str,
    *,
    change_password: bool,
    new_password_file: Path | None,
    **fields: Any,
) -> Result:
    """Change the roles, the patterns or the password of a user."""
    new = _new_password(new_password_file) if change_password or new_password_file else None
    return _change(session, "user", name, {**fields, "password": new})


@verb(user, "delete", examples=("user delete ann",))
@_user
def delete_user(session: Session, name: str) -> Result:
    """Delete a user; its sessions end."""
    session.call(f"{_USER}.delete", name=name)
    return Result({"name": name}, text=f"deleted user {name}")


@verb(key, "list", examples=("key list", "key list -o wide"))
def list_keys(session: Session) -> Result:
    """List the API keys."""
    return Result(session.call(f"{_KEY}.get-list"), _KEYS)


@verb(
    key,
    "create",
    examples=(
        "key create deploy --role editor --days 90",
        "key create --role viewer --pattern 'crm.*'",
    ),
)
@click.argument("name", required=False)
@_rights
@_expiry
def create_key(session: Session, name: str | None, **fields: Any) -> Result:
    """Create an API key, by default of an operator; it is shown only now."""
    found = session.call(f"{_KEY}.create", _given(fields), name=name)
    return Result(found, text=_shown_once(found))


@verb(
    key,
    "edit",
    examples=(
        "key edit deploy --role viewer --days 90",
        "key edit deploy --inactive",
        "key edit 0123456789ab --new-name deploy",
    ),
)
@_key
@_rights
@_expiry
@_active
@click.option("--new-name", help="New name of the key; '' for none.")
def edit_key(session: Session, name: str, **fields: Any) -> Result:
    """Change the rights, the owner, the end or the name of a key; its secret stays."""
    return _change(session, "key", name, fields)


@verb(key, "rotate", examples=("key rotate deploy", "key rotate deploy --grace-hours 0"))
@_key
@click.option(
    "--grace-hours",
    type=click.FloatRange(0),
    help="Hours of the old secret.  [default: 24]",
)
def rotate_key(session: Session, name: str, grace_hours: float | None) -> Result:
    """Give a key a new secret, shown only now; the old one works for a while."""
    found = session.call(f"{_KEY}.rotate", name=name, grace_hours=grace_hours)
    return Result(found, text=_shown_once(found))


def _shown_once(found: dict[str, Any]) -> str:
    click.echo(f"key {found['name']}: it is not shown again", err=True)
    return str(found["key"])


@verb(key, "revoke", examples=("key revoke deploy",))
@_key
def revoke_key(session: Session, name: str) -> Result:
    """Delete an API key, by its name."""
    session.call(f"{_KEY}.delete", name=name)
    return Result({"name": name}, text=f"revoked key {name}")
