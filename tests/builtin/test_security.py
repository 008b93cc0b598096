from typing import Any

import pytest

from zato_lite.errors import BadInputError, ConflictError, NotFoundError
from zato_lite.testing.app import Sandbox

USER = "zato.security.user"
KEY = "zato.security.key"
ANN: dict[str, Any] = {"name": "ann", "password": "long enough", "roles": ["editor"]}


async def test_a_user_lives_from_create_to_delete(it: Sandbox) -> None:
    await it.invoke(f"{USER}.create", ANN)
    with pytest.raises(ConflictError):
        await it.invoke(f"{USER}.create", ANN)
    first = await it.app.people.find_user("ann")
    await it.invoke(f"{USER}.edit", {"name": "ann", "patterns": ["crm.*"], "is_active": False})
    edited = await it.app.people.find_user("ann")
    await it.invoke(f"{USER}.edit", {"name": "ann", "password": "another one"})
    changed = await it.app.people.find_user("ann")

    assert await it.invoke(f"{USER}.get-list") == [
        {"name": "ann", "roles": ["editor"], "patterns": ["crm.*"], "is_active": False}
    ]
    assert first is not None
    assert edited is not None
    assert changed is not None
    assert first.hash.startswith("$argon2id$")
    assert first.hash == edited.hash != changed.hash
    await it.invoke(f"{USER}.delete", {"name": "ann"})
    assert await it.invoke(f"{USER}.get-list") == []
    for service in ("edit", "delete"):
        with pytest.raises(NotFoundError):
            await it.invoke(f"{USER}.{service}", {"name": "ann"})


async def test_the_first_admin_stays(it: Sandbox) -> None:
    await it.app.people.save_user("admin.invoke", "h", frozenset({"admin"}), (), active=True)

    for change in ({"roles": ["viewer"]}, {"is_active": False}):
        with pytest.raises(BadInputError, match="stays an active admin"):
            await it.invoke(f"{USER}.edit", {"name": "admin.invoke", **change})
    with pytest.raises(BadInputError, match="cannot be deleted"):
        await it.invoke(f"{USER}.delete", {"name": "admin.invoke"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("password", "short"),
        ("password", 12345678),
        ("password", "x" * 1001),
        ("roles", ["king"]),
        ("roles", []),
        ("roles", "admin"),
        ("patterns", "crm.*"),
        ("patterns", [7]),
        ("is_active", "maybe"),
        ("passphrase", "x"),
    ],
)
async def test_what_is_wrong_with_a_user_is_told_but_no_password(
    it: Sandbox, field: str, value: Any
) -> None:
    with pytest.raises(BadInputError) as caught:
        await it.invoke(f"{USER}.create", {**ANN, field: value})

    assert [error.field for error in caught.value.errors] == [field]
    if field == "password":
        assert str(value) not in str(caught.value)
        assert caught.value.errors[0].value is None
    assert await it.invoke(f"{USER}.get-list") == []


async def test_a_key_is_shown_once_and_kept_as_a_hash(it: Sandbox) -> None:
    made = await it.invoke(f"{KEY}.create", {"patterns": ["crm.*"]})

    kept = await it.app.people.find_key(made["name"])
    assert kept is not None
    assert made["key"].startswith(f"zl_{made['name']}_")
    assert made["key"].rpartition("_")[2] not in kept.hash
    assert await it.invoke(f"{KEY}.get-list") == [
        {"name": made["name"], "roles": ["operator"], "patterns": ["crm.*"], "is_active": True}
    ]
    await it.invoke(f"{KEY}.delete", {"name": made["name"]})
    with pytest.raises(NotFoundError):
        await it.invoke(f"{KEY}.delete", {"name": made["name"]})
