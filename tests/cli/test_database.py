import json
from pathlib import Path

from tests.cli.conftest import run
from tests.store.damage import damage
from zato_lite.store.sqlite import SqliteStore


def made(project: Path) -> Path:
    store = project / "data" / "zato-lite.db"
    opened = SqliteStore(str(store))
    opened.open(0)
    opened.close()
    return store


def test_a_store_is_checked_copied_and_restored_in_this_process(tmp_path: Path) -> None:
    store, copy = made(tmp_path), tmp_path / "copy.db"
    project = ["--project", str(tmp_path)]

    assert run("db", "check", "--full", *project).out == "ok\n"
    assert run("db", "backup", str(copy), *project).out == f"{copy}\n"
    damage(store, "run_log")
    broken = run("db", "check", "--json", *project)
    assert (broken.status, json.loads(broken.out)["is_ok"]) == (1, False)
    kept = run("db", "restore", str(copy), "--json", *project).json["kept"]
    assert Path(kept).exists()
    assert run("db", "check", *project).status == 0


def test_a_store_of_postgresql_names_its_own_programs(tmp_path: Path) -> None:
    url = ["--store", "postgresql://zato@127.0.0.1:1/zato", "--project", str(tmp_path)]

    backup = run("db", "backup", *url)
    assert (backup.status, "pg_dump" in backup.err) == (2, True)
    secret = run("db", "check", "--store", "postgresql://zato:secret@h/z")
    assert (secret.status, "visible to all" in secret.err) == (2, True)


def test_a_move_needs_one_target(tmp_path: Path) -> None:
    made(tmp_path)
    project = ["--project", str(tmp_path)]

    assert run("db", "migrate-to", *project).status == 2
    assert run("db", "migrate-to", "--undo", *project).out == "the store was not moved\n"


def test_lines_of_the_log_are_found_by_their_cid(tmp_path: Path) -> None:
    lines = [
        {
            "time": "2",
            "level": "error",
            "logger": "x",
            "event": "b",
            "cid": "c1",
            "exception": "E",
        },
        {"time": "1", "level": "info", "logger": "x", "event": "a", "cid": "c1", "n": 1},
        {"time": "3", "level": "info", "logger": "x", "event": "c", "cid": "c2"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "log").write_text(text)

    shown = run("log", "c1", str(tmp_path / "log"), "--project", str(tmp_path))
    assert shown.out.splitlines() == ["1 INFO    x: a n=1", "2 ERROR   x: b", "E"]
    raw = run("log", "c1", "-", "--json", "--project", str(tmp_path), stdin=text)
    assert [json.loads(line)["time"] for line in raw.out.splitlines()] == ["1", "2"]
    (tmp_path / "log").write_text(json.dumps({"cid": "c3", "event": "\x9b2J"}, ensure_ascii=False))
    odd = run("log", "c3", str(tmp_path / "log"), "--json", "--project", str(tmp_path))
    assert odd.out == '{"cid": "c3", "event": "\\u009b2J"}\n'
    none = run("log", "c9", "--project", str(tmp_path))
    assert (none.status, "no line with cid c9" in none.err) == (1, True)


def test_a_check_makes_no_folder(tmp_path: Path) -> None:
    ran = run("db", "check", "--project", str(tmp_path))

    assert (ran.status, "file not found" in ran.err) == (2, True)
    assert [*tmp_path.iterdir()] == []
