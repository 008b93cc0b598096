import asyncio
from typing import Any

import pytest

from zato_lite.errors import BadInputError, ConflictError, ForbiddenError, NotFoundError
from zato_lite.service.message import Caller
from zato_lite.store.accounts import Credential
from zato_lite.testing.app import Sandbox

USER = "zato.security.user"
KEY = "zato.security.key"
ANN: dict[str, Any] = {"name": "ann", "password": "long enough", "roles": ["editor"]}


async def test_a_user_is_created_edited_and_deleted(box: Sandbox) -> None:
    await box.invoke(f"{USER}.create", ANN)
    with pytest.raises(ConflictError):
        await box.invoke(f"{USER}.create", ANN)
    first = await box.app.accounts.find("user", "ann")
    await box.invoke(f"{USER}.edit", {"name": "ann", "patterns": ["crm.*"], "is_active": False})
    edited = await box.app.accounts.find("user", "ann")
    await box.invoke(f"{USER}.edit", {"name": "ann", "password": "another one"})
    changed = await box.app.accounts.find("user", "ann")

    assert await box.invoke(f"{USER}.get-list") == [
        {"name": "ann", "roles": ["editor"], "patterns": ["crm.*"], "is_active": False}
    ]
    assert first is not None
    assert edited is not None
    assert changed is not None
    assert first.hash.startswith("$argon2id$")
    assert first.hash == edited.hash != changed.hash
    await box.invoke(f"{USER}.delete", {"name": "ann"})
    assert await box.invoke(f"{USER}.get-list") == []
    for service in ("edit", "delete"):
        with pytest.raises(NotFoundError):
            await box.invoke(f"{USER}.{service}", {"name": "ann"})


async def test_a_change_that_ends_late_does_not_undo_another(box: Sandbox) -> None:
    create, edit, delete = (f"{USER}.{verb}" for verb in ("create", "edit", "delete"))

    made = await asyncio.gather(
        *(box.invoke(create, {**ANN, "password": f"long enough {i}"}) for i in range(2)),
        return_exceptions=True,
    )
    ended = await asyncio.gather(
        box.invoke(edit, {"name": "ann", "password": "another one"}),
        box.invoke(delete, {"name": "ann"}),
        return_exceptions=True,
    )

    assert sorted(type(each).__name__ for each in made) == ["ConflictError", "dict"]
    assert ended[1] == {}
    assert await box.invoke(f"{USER}.get-list") == []


async def test_the_first_admin_cannot_be_deleted_or_lose_its_role(box: Sandbox) -> None:
    await box.app.accounts.save(
        Credential("user", "admin.invoke", "h", frozenset({"admin"}), (), is_active=True)
    )

    for change in ({"roles": ["viewer"]}, {"is_active": False}):
        with pytest.raises(BadInputError, match="stays an active admin"):
            await box.invoke(f"{USER}.edit", {"name": "admin.invoke", **change})
    with pytest.raises(BadInputError, match="cannot be deleted"):
        await box.invoke(f"{USER}.delete", {"name": "admin.invoke"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "system"),
        ("name", "SYSTEM"),
        ("name", "System"),
        ("name", "ann:bob"),
        ("name", "a\nb"),
        ("password", "short"),
        ("password", 12345678),
        ("password", "x" * 1001),
        ("password", "not UTF-8: \ud800"),
        ("roles", ["king"]),
        ("roles", []),
        ("roles", "admin"),
        ("patterns", "crm.*"),
        ("patterns", [7]),
        ("is_active", "maybe"),
        ("passphrase", "x"),
    ],
)
async def test_errors_name_the_wrong_field_of_a_user_but_never_show_a_password(
    box: Sandbox, field: str, value: Any
) -> None:
    with pytest.raises(BadInputError) as caught:
        await box.invoke(f"{USER}.create", {**ANN, field: value})

    assert [error.field for error in caught.value.errors] == [field]
    if field == "password":
        assert str(value) not in str(caught.value)
        assert caught.value.errors[0].value is None
    assert await box.invoke(f"{USER}.get-list") == []


async def test_a_key_is_shown_once_and_stored_as_a_hash(box: Sandbox) -> None:
    made = await box.invoke(f"{KEY}.create", {"patterns": ["crm.*"]})

    kept = await box.app.accounts.find("key", made["name"])
    assert kept is not None
    assert made["key"].startswith(f"zl_{made['name']}_")
    assert made["key"].rpartition("_")[2] not in kept.hash
    assert await box.invoke(f"{KEY}.get-list") == [
        {
            "prefix": made["prefix"],
            "name": made["name"],
            "owner": "",
            "roles": ["operator"],
            "patterns": ["crm.*"],
            "is_active": True,
            "created": "2027-01-15T08:00:01+00:00",
            "expires": None,
            "used": None,
            "old_secret_until": None,
        }
    ]
    await box.invoke(f"{KEY}.delete", {"name": made["name"]})
    with pytest.raises(NotFoundError):
        await box.invoke(f"{KEY}.delete", {"name": made["name"]})


CONFINED = Caller("eve", frozenset({"admin"}), ("zato.security.*", "crm.*"))
"""An admin, of some services only."""


async def _refused(box: Sandbox, caller: Caller, service: str, payload: Any) -> str:
    with pytest.raises(ForbiddenError) as caught:
        await box.app.invoker.invoke(service, payload, caller=caller)
    return str(caught.value)


async def test_a_caller_cannot_create_a_credential_with_more_rights_than_its_own(
    box: Sandbox,
) -> None:
    wide: dict[str, Any] = {**ANN, "patterns": ["billing.*"]}

    assert "`billing.*` is not within its own patterns (zato.security.*, crm.*)" in await _refused(
        box, CONFINED, f"{USER}.create", wide
    )
    assert "no patterns, which is all services" in await _refused(
        box, CONFINED, f"{USER}.create", ANN
    )
    assert "no patterns" in await _refused(box, CONFINED, f"{KEY}.create", {})
    assert "the role editor is above its own" in await _refused(
        box, Caller("op", frozenset({"operator"})), f"{USER}.create", ANN
    )

    assert await box.invoke(f"{USER}.get-list") == []
    assert await box.invoke(f"{KEY}.get-list") == []
    narrow = {**ANN, "patterns": ["crm.get-*"]}
    made = await box.app.invoker.invoke(f"{USER}.create", narrow, caller=CONFINED)
    assert made == {"name": "ann"}


async def test_a_caller_cannot_change_or_delete_a_credential_with_more_rights_than_its_own(
    box: Sandbox,
) -> None:
    await box.app.accounts.save(
        Credential("user", "admin.invoke", "h", frozenset({"admin"}), (), is_active=True)
    )
    await box.invoke(f"{USER}.create", {**ANN, "patterns": ["crm.*"]})
    key = (await box.invoke(f"{KEY}.create", {}))["name"]
    await box.invoke(f"{USER}.create", {**ANN, "name": "bob"})

    for service, payload in (
        (f"{USER}.edit", {"name": "admin.invoke", "password": "mine from now on"}),
        (f"{USER}.edit", {"name": "ann", "patterns": ["*"]}),
        (f"{USER}.edit", {"name": "bob", "patterns": ["crm.*"]}),
        (f"{USER}.delete", {"name": "bob"}),
        (f"{KEY}.delete", {"name": key}),
    ):
        assert await _refused(box, CONFINED, service, payload)

    admin = await box.app.accounts.find("user", "admin.invoke")
    assert admin is not None
    assert admin.hash == "h"
    assert len(await box.invoke(f"{USER}.get-list")) == 3
    assert len(await box.invoke(f"{KEY}.get-list")) == 1
    await box.app.invoker.invoke(f"{USER}.delete", {"name": "ann"}, caller=CONFINED)
