import itertools
import os
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from tests.cli.conftest import PASSWORD, Running, run
from zato_lite.cli.doctor import of_status
from zato_lite.cli.main import cli, main

CONFIG = "[server]\nport = 1\n"


def test_the_scheduler_is_shown_paused_and_resumed(server: Running) -> None:
    assert server.run("scheduler", "pause", "-m", "migration").out == "paused the scheduler\n"
    assert "paused by admin.invoke migration" in server.run("status").out
    assert server.run("scheduler", "resume").out == "resumed the scheduler\n"
    assert "scheduler\tactive" in server.run("status").out.splitlines()
    assert len(server.run("node", "list").out.splitlines()) == 1


def test_services_are_listed_and_shown(server: Running) -> None:
    names = [line.split("\t")[0] for line in server.run("service", "list").out.splitlines()]
    assert names == ["shop.echo", "shop.fail", "shop.pay", "shop.slow"]
    assert "zato.ping\t" in server.run("service", "list", "ping", "--all").out
    shown = server.run("service", "show", "shop.pay").out.splitlines()
    assert "description\tPay an order." in shown
    assert "input\tid, [paid], [note]" in shown


def test_a_server_is_waited_for(server: Running) -> None:
    assert server.run("wait", ZATO_LITE_PASSWORD=None).out == "ready\n"
    late = run("wait", "--url", "http://127.0.0.1:1", "--timeout", "0")
    assert (late.status, "is not ready after 0 s: no answer" in late.err) == (7, True)


def test_a_doctor_finds_nothing_or_names_the_next_step(server: Running) -> None:
    healthy = server.run("doctor", "--json").json
    assert {"settings", "server", "credentials", "files", "store"} <= {
        it["check"] for it in healthy
    }
    assert not [each for each in healthy if each["result"] == "error"]
    (server.project / "services" / "broken.py").write_text("import nothing_of_this_name\n")
    server.job("in trouble", "shop.fail")
    server.run("job", "run", "in trouble", "--wait")
    server.run("scheduler", "pause")

    found = {each["check"]: each for each in server.run("doctor", "--json").json}

    server.run("scheduler", "resume")
    assert found["in trouble"]["next"] == "zato-lite job why 'in trouble'"
    assert found["scheduler"]["result"] == "warning"


def test_a_doctor_without_a_server_looks_at_settings_and_store(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text(CONFIG)

    empty = run("doctor", "--project", str(tmp_path), ZATO_LITE_PASSWORD=PASSWORD)
    assert empty.status == 1
    assert "server\terror\tcannot connect to http://127.0.0.1:1: connection refused\t" in empty.out
    assert "the project has none yet" in empty.out
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "zato-lite.db").write_bytes(b"x" * 5000)
    damaged = run("doctor", "--project", str(tmp_path), ZATO_LITE_PASSWORD=PASSWORD)
    assert "store\terror" in damaged.out
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\nprot = 1\n")
    assert "settings\terror" in run("doctor", "--project", str(tmp_path)).out


def test_a_doctor_reads_the_status_of_the_scheduler(server: Running) -> None:
    healthy = server.ask("zato.scheduler.status")
    ill = {
        **healthy,
        "clock_warning": "the clock was set back",
        "lateness_p99_ms": 5_000.0,
        "nodes": [{"version": "0.0.1"}],
    }

    assert [*of_status(healthy, 0.4)] == []
    assert [each.check for each in of_status(ill, -60)] == [
        "clock",
        "clock",
        "lateness",
        "version",
    ]
    assert [each.check for each in of_status({**healthy, "nodes": []}, 0)] == ["nodes"]


def test_a_doctor_without_credentials_says_so(server: Running) -> None:
    found = server.run("doctor", ZATO_LITE_PASSWORD="x")  # noqa: S106

    assert "credentials\terror" in found.out
    assert "files" not in found.out


def test_top_shows_what_is_next(server: Running) -> None:
    server.job("due soon", start_date="2098-01-01")

    shown = server.run("top")

    assert "\x1b" not in shown.out
    assert "\\x1b" not in shown.out
    assert [part in shown.out for part in ("STATUS", "NEXT", "due soon")] == [True] * 3
    assert server.run("top", "--json").json["next"][0]["next_iso"]


def test_top_redraws_the_screen_until_it_is_stopped(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    screens = itertools.count()

    def sleep(_: float) -> None:
        if next(screens):
            raise KeyboardInterrupt

    monkeypatch.setattr("zato_lite.cli.top.is_terminal", lambda: True)
    monkeypatch.setattr("zato_lite.cli.top.pause", sleep)

    runner, environ = CliRunner(), {"ZATO_LITE_URL": server.url, "ZATO_LITE_PASSWORD": PASSWORD}
    shown = runner.invoke(cli, ["top"], env=environ).stdout
    monkeypatch.setitem(cli.context_settings, "color", False)  # as NO_COLOR does
    plain = runner.invoke(cli, ["top"], env=environ).stdout

    assert shown.count("STATUS") == 2
    assert "\x1b[1m" in shown
    assert "\x1b[1m" not in plain


def completed(
    server: Running, words: str, typed: str, monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    monkeypatch.setenv("ZATO_LITE_URL", server.url)
    monkeypatch.setenv("ZATO_LITE_PASSWORD", PASSWORD)
    monkeypatch.setattr("zato_lite.cli.complete._TIMEOUT_S", 60.0)  # however busy the machine
    shell = ShellComplete(cli, {}, "zato-lite", "_ZATO_LITE_COMPLETE")
    return [item.value for item in shell.get_completions(words.split(), typed)]


def test_names_are_completed_from_the_server(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.job("complete-me")

    assert completed(server, "job pause", "complete", monkeypatch) == ["complete-me"]
    assert completed(server, "invoke", "shop.p", monkeypatch) == ["shop.pay"]
    assert "pause" in completed(server, "job", "p", monkeypatch)
    monkeypatch.setattr(server, "url", "http://127.0.0.1:1")
    assert completed(server, "job pause", "complete", monkeypatch) == []


@pytest.mark.parametrize("words", ["user edit", "user delete", "key create --owner"])
def test_names_of_users_are_completed(
    server: Running, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ask(
        "zato.security.user.create", {"name": f"tab {words}", "password": "a long password"}
    )

    assert completed(server, words, "tab", monkeypatch) == [f"tab {words}"]
    server.ask("zato.security.user.delete", {"name": f"tab {words}"})


@pytest.mark.parametrize("verb", ["edit", "rotate", "revoke"])
def test_names_of_keys_are_completed(
    server: Running, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ask("zato.security.key.create", {"name": f"tab-{verb}"})

    assert completed(server, f"key {verb}", "tab-", monkeypatch) == [f"tab-{verb}"]
    server.ask("zato.security.key.delete", {"name": f"tab-{verb}"})


def test_names_of_calendars_and_nodes_and_those_in_fields_are_completed(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.ask("zato.scheduler.calendar.create", {"name": "tab", "weekdays": [6]})
    server.job("tab-job")
    [node] = server.run("node", "list", "--json").json

    assert completed(server, "calendar show", "t", monkeypatch) == ["tab"]
    assert completed(server, "run list --node", node["name"][:2], monkeypatch) == [node["name"]]
    assert completed(server, "job edit x --calendar", "t", monkeypatch) == ["tab"]
    assert completed(server, "job edit x --on-success-job", "tab", monkeypatch) == ["tab-job"]
    found = completed(server, "job edit x --on-success-service", "shop.p", monkeypatch)
    assert found == ["shop.pay"]
    assert server.run("run", "list", "--node", node["name"]).status == 0


@pytest.mark.parametrize(
    ("is_terminal", "no_color", "is_coloured"),
    [(True, "", True), (True, "1", False), (False, "", False)],
)
def test_colours_are_for_terminals(
    server: Running,
    monkeypatch: pytest.MonkeyPatch,
    *,
    is_terminal: bool,
    no_color: str,
    is_coloured: bool,
) -> None:
    server.job(f"coloured {is_terminal} {no_color}")
    environ = {"URL": server.url, "PASSWORD": PASSWORD}
    for name, value in environ.items():
        monkeypatch.setenv(f"ZATO_LITE_{name}", value)
    monkeypatch.setenv("NO_COLOR", no_color)
    reading, writing = os.openpty() if is_terminal else os.pipe()

    with os.fdopen(reading, "rb", buffering=0) as read:
        with os.fdopen(writing, "w") as output:
            monkeypatch.setattr("sys.stdout", output)
            with pytest.raises(SystemExit):
                main(["job", "list", f"coloured {is_terminal} {no_color}", "-o", "table"])
            monkeypatch.undo()
        shown = read.read(10_000).decode()  # the writer is closed: it cannot wait

    assert ("\x1b[1mNAME" in shown, "\x1b" in shown) == (is_coloured, is_coloured)
    assert click.unstyle(shown).startswith("NAME")
