import json
import sys
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.cli.conftest import PASSWORD, Running, run
from zato_lite.cli.main import cli, colours, main
from zato_lite.cli.render import Result
from zato_lite.cli.verb import Session, verb


def test_the_help_of_a_command_has_its_options_those_of_all_and_examples() -> None:
    shown = CliRunner().invoke(cli, ["job", "pause", "--help"]).output

    parts = [shown.index(part) for part in ("Options:", "Server and output:", "Examples:")]
    assert parts == sorted(parts)
    assert "--note" in shown[parts[0] : parts[1]]
    assert "--password-file" in shown[parts[1] : parts[2]]
    assert "zato-lite job pause nightly" in shown[parts[2] :]


def test_the_help_of_create_has_the_fields_of_a_definition() -> None:
    shown = CliRunner().invoke(cli, ["job", "create", "--help"]).output

    assert "One of run_once, run_all, skip." in shown
    assert "--timezone" in shown


def test_a_password_is_typed_without_being_shown(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def prompt(words: str, **options: object) -> str:
        asked.append(words)
        assert options["hide_input"]
        return PASSWORD

    monkeypatch.setattr("zato_lite.cli.verb.can_ask", lambda: True)
    monkeypatch.setattr(click, "prompt", prompt)

    assert server.run("status", ZATO_LITE_PASSWORD=None).status == 0
    assert asked == ["Password of admin.invoke"]


def test_without_a_password_and_a_terminal_the_way_out_is_named(server: Running) -> None:
    ran = server.run("status", ZATO_LITE_PASSWORD=None)

    assert (ran.status, ran.err) == (
        4,
        "zato-lite: password missing; use --password-file or ZATO_LITE_ADMIN_PASSWORD\n",
    )


@pytest.mark.parametrize(("typed", "meant"), [("jobs", "job"), ("job lst", "list")])
def test_an_unknown_command_is_refused_with_the_nearest_one(typed: str, meant: str) -> None:
    ran = run(*typed.split())

    assert ran.status == 2
    assert ran.err.count(f"Did you mean {meant!r}?") == 1
    assert "Did you mean" not in run("unlike-any").err


def test_an_interrupted_command_ends_as_shells_expect(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("zato_lite.cli.state.polls", interrupt)

    ran = server.run("wait")

    assert (ran.status, ran.out, ran.err) == (130, "", "\n")


def test_a_closed_output_ends_in_silence(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"URL": server.url, "PASSWORD": PASSWORD}.items():
        monkeypatch.setenv(f"ZATO_LITE_{name}", value)
    monkeypatch.setattr("sys.stdout", None)

    with pytest.raises(SystemExit) as ended:
        main(["status"])
    sys.stdout.close()

    assert ended.value.code == 0


def test_an_output_that_cannot_be_written_is_a_sentence(
    server: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"URL": server.url, "PASSWORD": PASSWORD}.items():
        monkeypatch.setenv(f"ZATO_LITE_{name}", value)

    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(SystemExit) as ended:
            main(["status"])
        monkeypatch.undo()
        with suppress(OSError):
            full.close()

    assert ended.value.code == 2
    assert capsys.readouterr().err == "zato-lite: no space left on device\n"


def test_a_missing_server_is_reported_before_a_password_is_asked_for(tmp_path: Path) -> None:
    ran = run("job", "list", "--project", str(tmp_path), "--url", "http://127.0.0.1:1")

    assert (ran.status, "cannot connect to http://127.0.0.1:1" in ran.err) == (3, True)


def test_the_project_s_store_is_read_without_a_password(tmp_path: Path) -> None:
    with Running(tmp_path) as server:
        server.job("stored", "zato.ping")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\nport = 1\n")

    ran = run("job", "list", "--project", str(tmp_path))

    assert ran.out.startswith("stored\t")
    assert "read from a copy of the project's store" in ran.err


def test_the_server_s_first_password_is_used_in_its_project(tmp_path: Path) -> None:
    with Running(tmp_path) as server:
        port = server.url.rpartition(":")[2]
        (tmp_path / "config").mkdir()
        (tmp_path / "config" / "zato-lite.toml").write_text(f"[server]\nport = {port}\n")
        first = tmp_path / "data" / "admin-password"
        first.write_text(PASSWORD)
        first.chmod(0o600)

        assert run("status", "--project", str(tmp_path)).status == 0


def test_local_commands_have_formats_too(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "broken.py").write_text("import nothing_of_this_name\n")

    checked = run("check", "--project", str(tmp_path), "--json")

    found = json.loads(checked.out)
    assert (checked.status, found["services"], len(found["mistakes"])) == (1, 0, 1)


@pytest.mark.parametrize("has_asked", [False, True])
def test_a_fault_of_a_command_is_not_taken_for_the_server_s(
    server: Running, monkeypatch: pytest.MonkeyPatch, *, has_asked: bool
) -> None:
    monkeypatch.setattr("zato_lite.cli.verb._VERSION_S", 60.0)  # however busy the machine

    @verb(None, "faulty")
    def faulty(session: Session) -> Result:
        if has_asked:
            session.call("zato.ping")
        raise KeyError("fault")

    environ = {"ZATO_LITE_URL": server.url, "ZATO_LITE_PASSWORD": PASSWORD}
    ran = CliRunner().invoke(faulty, env=environ)

    assert isinstance(ran.exception, KeyError)


def test_a_fault_over_a_copy_of_the_store_is_the_command_s(tmp_path: Path) -> None:
    with Running(tmp_path):
        pass

    @verb(None, "faulty", reads=True)
    def faulty(session: Session) -> Result:
        session.call("zato.ping")
        raise KeyError("fault")

    environ = {"ZATO_LITE_PASSWORD": PASSWORD}
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\nport = 1\n")
    ran = CliRunner().invoke(faulty, ["--project", str(tmp_path)], env=environ)

    assert "read from a copy" in ran.stderr
    assert isinstance(ran.exception, KeyError)


@pytest.mark.parametrize(("value", "is_coloured"), [("1", False), ("", True)])
def test_no_color_switches_colours_off(
    value: str, is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", value)

    assert colours() == ({} if is_coloured else {"color": False})
