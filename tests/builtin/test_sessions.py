from typing import Any

import pytest

from zato_lite.errors import BadInputError, ForbiddenError, NotFoundError
from zato_lite.service.message import Caller
from zato_lite.store.accounts import Credential
from zato_lite.store.sessions import Session, hash_token
from zato_lite.testing.app import Sandbox

SESSION = "zato.security.session"
ANN = Caller("ann", frozenset({"viewer"}))
ROOT = Caller("root", frozenset({"admin"}))
CONFINED = Caller("eve", frozenset({"admin"}), ("zato.security.*", "crm.*"))
"""An admin, of some services only."""


@pytest.fixture(autouse=True)
async def ids(box: Sandbox) -> dict[str, str]:
    """Sign in users with different rights; return the ids of their sessions."""
    rights: dict[str, tuple[str, tuple[str, ...]]] = {
        "ann": ("viewer", ()),
        "bob": ("editor", ("crm.*",)),
        "eve": ("admin", ("zato.security.*", "crm.*")),
        "root": ("admin", ()),
    }
    now, made = box.clock.now(), {}
    for name, (role, patterns) in rights.items():
        await box.app.accounts.save(Credential("user", name, "h", frozenset({role}), patterns))
        session = Session(hash_token(name), name, now, now, "::1", "a browser")
        await box.app.sessions.add(session)
        made[name] = session.id
    return made


async def ask(box: Sandbox, name: str, caller: Caller, /, **sent: Any) -> Any:
    return await box.app.invoker.invoke(f"{SESSION}.{name}", sent, caller=caller)


async def users(box: Sandbox, caller: Caller = ROOT, **sent: Any) -> set[str]:
    return {found["user"] for found in await ask(box, "get-list", caller, **sent)}


async def test_a_user_lists_and_ends_its_own_sessions(box: Sandbox, ids: dict[str, str]) -> None:
    [listed] = await ask(box, "get-list", ANN)

    assert (listed["id"], listed["user"]) == (ids["ann"], "ann")
    assert (listed["remote_address"], listed["user_agent"]) == ("::1", "a browser")
    assert listed["created"] < listed["expires"]
    assert await users(box, ANN, user="ann") == {"ann"}
    assert await ask(box, "delete", ANN, id=ids["ann"]) == {"ended": 1}
    assert await ask(box, "delete-all", ANN) == {"ended": 0}
    assert await users(box, all=True) == {"bob", "eve", "root"}


@pytest.mark.parametrize("sent", [{"user": "bob"}, {"all": True}, {"user": "made up"}])
async def test_other_users_sessions_need_an_admin(box: Sandbox, sent: dict[str, Any]) -> None:
    for service in ("get-list", "delete-all"):
        with pytest.raises(ForbiddenError, match="its own sessions only"):
            await ask(box, service, ANN, **sent)

    assert await users(box, all=True) == {"ann", "bob", "eve", "root"}


async def test_a_foreign_session_is_not_found(box: Sandbox, ids: dict[str, str]) -> None:
    for session_id in (ids["bob"], "0" * 16, hash_token("ann"), "%", "ann"):
        with pytest.raises(NotFoundError):
            await ask(box, "delete", ANN, id=session_id)

    assert await users(box, all=True) == {"ann", "bob", "eve", "root"}


async def test_an_admin_ends_the_sessions_of_one_user_or_all(
    box: Sandbox, ids: dict[str, str]
) -> None:
    assert await ask(box, "delete", ROOT, id=ids["bob"]) == {"ended": 1}
    assert await ask(box, "delete-all", ROOT, user="ann") == {"ended": 1}
    assert await users(box, all=True) == {"eve", "root"}
    assert await ask(box, "delete-all", ROOT, all=True) == {"ended": 2}
    records = await box.app.audit_log.list()
    assert [(record.who, record.subject) for record in records] == [
        ("root", "all users"),
        ("root", "ann"),
        ("root", ids["bob"]),
    ]


async def test_a_confined_admin_has_to_do_with_covered_users_only(
    box: Sandbox, ids: dict[str, str]
) -> None:
    assert await users(box, CONFINED, all=True) == {"bob", "eve"}
    with pytest.raises(NotFoundError):
        await ask(box, "delete", CONFINED, id=ids["root"])
    assert await ask(box, "delete-all", CONFINED, user="root") == {"ended": 0}
    assert await ask(box, "delete-all", CONFINED, all=True) == {"ended": 2}
    assert await users(box, all=True) == {"ann", "root"}


@pytest.mark.parametrize(
    ("service", "sent"),
    [
        ("get-list", {"user": "ann", "all": True}),
        ("get-list", {"name": "ann"}),
        ("delete-all", {"all": "perhaps"}),
        ("delete", {}),
        ("delete", {"id": ""}),
        ("delete", {"id": "x" * 1000}),
    ],
)
async def test_wrong_input_is_refused(box: Sandbox, service: str, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await ask(box, service, ROOT, **sent)

    assert await users(box, all=True) == {"ann", "bob", "eve", "root"}


async def test_a_new_password_ends_the_user_s_sessions(box: Sandbox) -> None:
    await box.invoke("zato.security.user.edit", {"name": "ann", "password": "a new password"})
    await box.invoke("zato.security.user.edit", {"name": "bob", "is_active": False})
    await box.invoke("zato.security.user.edit", {"name": "eve", "roles": ["viewer"]})
    await box.invoke("zato.security.user.delete", {"name": "root"})

    assert await users(box, all=True) == {"eve"}


async def test_a_key_with_a_user_s_name_has_no_sessions(box: Sandbox, ids: dict[str, str]) -> None:
    key = Caller("ann", frozenset({"editor"}), (), "key")

    assert await users(box, key) == set()
    assert await ask(box, "delete-all", key) == {"ended": 0}
    with pytest.raises(NotFoundError):
        await ask(box, "delete", key, id=ids["ann"])
    with pytest.raises(ForbiddenError):
        await ask(box, "delete-all", key, user="ann")

    assert await users(box, all=True) == {"ann", "bob", "eve", "root"}
