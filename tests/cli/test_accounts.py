from pathlib import Path

import pytest

from tests.cli.conftest import Running


def test_a_user_is_created_changed_and_deleted(server: Running, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("another password\n")
    made = server.run("user", "create", "ann", "--role", "viewer", stdin="a long password\n")
    assert made.out == "created user ann\n"
    assert server.run("job", "list", ZATO_LITE_USER="ann").status == 0

    server.run("user", "edit", "ann", "--role", "operator", "--pattern", "shop.*")
    [ann] = [it for it in server.run("user", "list", "--json").json if it["name"] == "ann"]
    assert (ann["roles"], ann["patterns"]) == (["operator"], ["shop.*"])
    server.run("user", "edit", "ann", "--pattern", "")
    [ann] = [it for it in server.run("user", "list", "--json").json if it["name"] == "ann"]
    assert (ann["roles"], ann["patterns"]) == (["operator"], [])
    server.run("user", "edit", "ann", "--new-password-file", str(secret))
    assert server.run("job", "list", ZATO_LITE_USER="ann").status == 4
    by_file = ["--password-file", str(secret)]
    assert server.run("job", "list", *by_file, ZATO_LITE_USER="ann").status == 0
    server.run("user", "edit", "ann", "--inactive")
    assert server.run("job", "list", *by_file, ZATO_LITE_USER="ann").status == 4
    assert server.run("user", "delete", "ann").out == "deleted user ann\n"
    assert server.run("user", "delete", "ann").status == 5


def test_a_key_is_created_listed_and_revoked(server: Running) -> None:
    made = server.run("key", "create", "--role", "viewer")
    assert "it is not shown again" in made.err
    key = made.out.strip()
    assert server.run("job", "list", ZATO_LITE_PASSWORD=None, ZATO_LITE_API_KEY=key).status == 0

    [listed] = server.run("key", "list", "--json").json
    assert server.run("key", "revoke", listed["name"]).out == f"revoked key {listed['name']}\n"
    assert server.run("key", "list").out == ""
    assert server.run("job", "list", ZATO_LITE_PASSWORD=None, ZATO_LITE_API_KEY=key).status == 4


def test_a_key_loses_its_name_owner_and_patterns(server: Running) -> None:
    server.run("key", "create", "deploy", "--owner", "bob", "--pattern", "shop.*")

    empty = ("--new-name", "", "--owner", "", "--pattern", "")
    assert server.run("key", "edit", "deploy", *empty).out == "changed key deploy\n"

    [key] = server.run("key", "list", "--json").json
    assert (key["name"], key["owner"], key["patterns"]) == (key["prefix"], "", [])
    assert server.run("key", "edit", key["prefix"], "--owner", " ").status != 0
    assert server.run("key", "revoke", key["prefix"]).status == 0


def test_a_key_has_a_name_and_expires_and_gets_new_secrets(server: Running) -> None:
    def may_list(key: str) -> bool:
        ran = server.run("job", "list", ZATO_LITE_PASSWORD=None, ZATO_LITE_API_KEY=key)
        return ran.status == 0

    first = server.run("key", "create", "deploy", "--role", "viewer", "--days", "90").out.strip()
    second = server.run("key", "rotate", "deploy").out.strip()
    assert (may_list(first), may_list(second)) == (True, True)
    third = server.run("key", "rotate", "deploy", "--grace-hours", "0").out.strip()
    assert (may_list(second), may_list(third)) == (False, True)

    [row] = server.run("key", "list", "-o", "wide").out.splitlines()[1:]
    assert row.startswith("deploy")
    assert "in 90 d" in row or "in 89 d" in row or "20" in row
    assert server.run("key", "revoke", "deploy").status == 0


def test_a_key_gets_other_rights_another_name_and_an_end(server: Running) -> None:
    key = server.run("key", "create", "narrow", "--role", "editor").out.strip()
    with_key = {"ZATO_LITE_PASSWORD": None, "ZATO_LITE_API_KEY": key}

    changed = server.run("key", "edit", "narrow", "--role", "viewer", "--days", "9", "--json").json
    assert changed["name"] == "narrow"
    made = server.run("job", "create", "by-key", "shop.echo", "--every", "1d", **with_key)
    assert (made.status, server.run("job", "list", **with_key).status) == (4, 0)
    named = server.run("key", "edit", "narrow", "--new-name", "wide", "--pattern", "shop.*")
    assert named.out == "changed key narrow\n"
    [row] = [it for it in server.run("key", "list", "--json").json if it["name"] == "wide"]
    assert (row["roles"], row["patterns"]) == (["viewer"], ["shop.*"])
    assert row["expires"] is not None
    server.run("key", "edit", "wide", "--days", "0")
    [row] = [it for it in server.run("key", "list", "--json").json if it["name"] == "wide"]
    assert row["expires"] is None
    server.run("key", "edit", row["prefix"], "--inactive")
    assert server.run("job", "list", **with_key).status == 4
    server.run("key", "edit", "wide", "--active", "--expires", "2099-01-01")
    assert server.run("job", "list", **with_key).status == 0
    assert server.run("key", "revoke", "wide").status == 0


@pytest.mark.parametrize("kind", ["user", "key"])
def test_an_edit_without_a_change_says_so(server: Running, kind: str) -> None:
    ran = server.run(kind, "edit", "ann")

    assert (ran.status, ran.err) == (
        2,
        f"zato-lite: no change is given; see zato-lite {kind} edit --help\n",
    )


def test_an_empty_password_is_refused(server: Running) -> None:
    ran = server.run("user", "create", "bob", stdin="")

    assert (ran.status, "password" in ran.err) == (2, True)


def test_a_user_without_a_password_is_refused_with_the_ways_to_give_one(server: Running) -> None:
    answer = server.run("user", "create", "nobody")

    assert answer.status == 2
    assert "--new-password-file or standard input" in answer.err


def test_a_password_file_that_is_not_text_is_named(server: Running, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"pass\xffword")

    refused = server.run("user", "create", "eve", "--new-password-file", str(tmp_path / "secret"))

    assert refused.status == 2
    assert f"{tmp_path / 'secret'} is not text in UTF-8" in refused.err
