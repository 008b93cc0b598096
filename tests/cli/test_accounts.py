from pathlib import Path

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

    [name] = [line.split("\t")[0] for line in server.run("key", "list").out.splitlines()]
    assert server.run("key", "revoke", name).out == f"revoked key {name}\n"
    assert server.run("key", "list").out == ""
    assert server.run("job", "list", ZATO_LITE_PASSWORD=None, ZATO_LITE_API_KEY=key).status == 4
