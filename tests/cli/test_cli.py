import base64
import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.conftest import PASSWORD, Running
from tests.store.damage import damage
from zato_lite import __version__
from zato_lite.cli.client import Client, find_credentials, readable, url_of, with_password
from zato_lite.cli.main import cli, main
from zato_lite.cli.project import create
from zato_lite.config import Server
from zato_lite.errors import BadInputError, ConfigError, ConflictError, UnavailableError
from zato_lite.store.sqlite import SqliteStore

ANN = with_password("ann", PASSWORD, "a test")


def test_help_lists_the_commands() -> None:
    shown = CliRunner().invoke(cli, ["--help"]).output

    assert all(command in shown for command in ("serve", "check", "init", "invoke"))


@pytest.mark.parametrize("group", [[], ["db"], ["job"]])
def test_help_describes_each_command_in_a_sentence(group: list[str]) -> None:
    commands = CliRunner().invoke(cli, [*group, "--help"]).output.partition("Commands:")[2]

    assert commands.strip()
    assert all(line.endswith(".") for line in commands.strip().splitlines())
    assert "..." not in commands


def test_the_version_is_printed() -> None:
    assert __version__ in CliRunner().invoke(cli, ["--version"]).output


@pytest.mark.e2e
def test_help_imports_nothing_heavy() -> None:
    code = "import sys; import zato_lite.cli.main; print(*sys.modules)"

    modules = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()

    assert not {"uvloop", "apsw", "croniter", "argon2", "watchfiles"} & set(modules)


def test_a_new_project_is_complete_and_never_overwritten(tmp_path: Path) -> None:
    shown = CliRunner().invoke(cli, ["init", str(tmp_path / "demo")]).output

    assert "zato-lite serve" in shown
    assert CliRunner().invoke(cli, ["check", "--project", str(tmp_path / "demo")]).exit_code == 0
    with pytest.raises(ConflictError, match=r"hello\.py.* exists already"):
        list(create(tmp_path / "demo"))


@pytest.mark.parametrize("folder", ["file/demo", "file"])
def test_a_project_that_cannot_be_written_is_an_error_in_one_line(
    tmp_path: Path, folder: str
) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match=r"hello\.py cannot be written: "):
        list(create(tmp_path / folder))


@pytest.mark.parametrize("command", ["serve", "check"])
def test_a_folder_without_a_project_is_refused_and_stays_empty(
    tmp_path: Path, command: str
) -> None:
    result = CliRunner().invoke(cli, [command, "--project", str(tmp_path)])

    assert isinstance(result.exception, ConfigError)
    assert "zato-lite init" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_check_lists_all_mistakes(tmp_path: Path) -> None:
    list(create(tmp_path))
    (tmp_path / "services" / "broken.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\nprot = 1\n")
    (tmp_path / "config" / "jobs.yaml").write_text("scheduler: 1\n")

    result = CliRunner().invoke(cli, ["check", "--project", str(tmp_path)])

    assert result.exit_code == 1
    assert "did you mean 'port'?" in result.output
    assert "nothing_of_this_name" in result.output
    assert "jobs.yaml" in result.output


@pytest.mark.e2e
def test_check_prints_each_mistake_once_and_nothing_else(tmp_path: Path) -> None:
    list(create(tmp_path))
    (tmp_path / "services" / "broken.py").write_text("import nothing_of_this_name\n")

    result = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "zato_lite", "check", "--project", str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
    )

    [line] = result.stderr.splitlines()
    assert "nothing_of_this_name" in line
    assert result.stdout == "1 service, 1 mistake\n"


@pytest.mark.e2e
def test_without_a_terminal_no_password_is_asked_for(server: Running) -> None:
    kept = {key: value for key, value in os.environ.items() if "PASSWORD" not in key}
    result = subprocess.run(
        [sys.executable, "-m", "zato_lite", "invoke", "zato.ping"],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**kept, "ZATO_LITE_URL": server.url},
    )

    assert result.returncode == 4
    assert result.stderr == (
        "zato-lite: password missing; use --password-file or ZATO_LITE_ADMIN_PASSWORD\n"
    )


@pytest.mark.parametrize(
    ("server", "url"),
    [
        (Server(), "http://127.0.0.1:17010"),
        (Server(host="0.0.0.0", port=8000), "http://127.0.0.1:8000"),  # noqa: S104
        (Server(host="::1", certificate="a.pem"), "https://[::1]:17010"),
        (Server(host="crm.local"), "http://crm.local:17010"),
    ],
)
def test_the_url_of_a_server_follows_from_its_settings(server: Server, url: str) -> None:
    assert url_of(server) == url


def test_an_answer_is_indented_on_a_terminal() -> None:
    assert readable('{"name":"Zoë","ids":[1]}') == (
        '{\n  "name": "Zoë",\n  "ids": [\n    1\n  ]\n}'
    )
    assert readable("no JSON") == "no JSON"


@pytest.mark.parametrize("server", [Server(port=0), Server(unix_socket="x.sock")])
def test_a_server_without_a_fixed_port_needs_a_url(server: Server) -> None:
    with pytest.raises(ConfigError, match="use --url"):
        url_of(server)


def test_the_server_of_the_project_is_invoked(tmp_path: Path, unused_port: int) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text(f"[server]\nport = {unused_port}\n")

    with pytest.raises(
        UnavailableError, match=f"cannot connect to http://127.0.0.1:{unused_port}"
    ):
        CliRunner().invoke(
            cli,
            ["invoke", "zato.ping", "--project", str(tmp_path)],
            env={"ZATO_LITE_ADMIN_PASSWORD": "x"},
            catch_exceptions=False,
        )


@pytest.mark.parametrize("argument", [["--password", "x"], ["--password=x"]])
def test_a_password_among_the_arguments_is_refused(argument: list[str]) -> None:
    with pytest.raises(BadInputError, match="in the list of processes; use --password-file"):
        CliRunner().invoke(cli, ["invoke", "zato.ping", *argument], catch_exceptions=False)


def test_credentials_in_the_url_are_refused() -> None:
    with pytest.raises(BadInputError, match="credentials are not allowed"):
        Client("http://ann:secret@127.0.0.1:1", ANN)


def find_password(environ: Mapping[str, str], file: Path | None) -> str | None:
    """Return the password of the user that a command without one has."""
    found = find_credentials("admin.invoke", file, None, None, environ)
    if found is None:
        return None
    encoded = found.field["Authorization"].removeprefix("Basic ")
    return base64.b64decode(encoded).decode().removeprefix("admin.invoke:")


def test_the_password_comes_from_a_file_or_the_environment(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("from a file\n")
    variable = {"ZATO_LITE_ADMIN_PASSWORD": "from the environment"}
    named = {"ZATO_LITE_ADMIN_PASSWORD_FILE": str(tmp_path / "one")}

    assert find_password(variable, tmp_path / "one") == "from a file"
    assert find_password({**variable, **named}, None) == "from the environment"
    assert find_password(named, None) == "from a file"
    assert find_password({}, None) is None


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff"])
def test_a_password_file_without_a_password_is_an_error(
    tmp_path: Path, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "file").write_bytes(content)

    with pytest.raises(ConfigError, match="--password-file: "):
        find_password({}, tmp_path / "file")


def test_a_payload_with_secrets_comes_from_stdin(server: Running) -> None:
    ran = server.run("invoke", "shop.echo", "-", stdin='{"password": "secret"}')

    assert ran.json == {"password": "secret"}


@pytest.fixture
def unused_port() -> int:
    """A port without a listener."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_refused_connection_is_reported() -> None:
    with pytest.raises(UnavailableError, match="cannot connect"):
        Client("http://127.0.0.1:1", ANN).invoke("zato.ping", "")
    with pytest.raises(BadInputError):
        Client("ftp://127.0.0.1", ANN)


def test_an_error_is_one_line_and_the_exit_status_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\nprot = 1\n")

    with pytest.raises(SystemExit) as caught:
        main(["serve", "--project", str(tmp_path)])

    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("zato-lite: [server] prot is not known")


@pytest.mark.e2e
def test_the_command_is_a_module_too() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "zato_lite", "--version"],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ,
    )

    assert shown.stdout.strip().endswith(__version__)


def db(project: Path, *arguments: str) -> tuple[int, str]:
    """Run ``zato-lite db``; return the status and the output."""
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "zato_lite", "db", *arguments, "--project", str(project)],
        check=False,
        capture_output=True,
        text=True,
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.e2e
def test_a_store_is_checked_backed_up_and_restored_from_the_command_line(tmp_path: Path) -> None:
    store = tmp_path / "data" / "zato-lite.db"
    made = SqliteStore(str(store))
    made.open(0)
    made.close()
    copy = tmp_path / "copy.db"

    assert db(tmp_path, "check", "--full") == (0, "ok\n")
    assert db(tmp_path, "backup", str(copy)) == (0, f"{copy}\n")
    code, told = db(tmp_path, "backup", "--json")
    assert json.loads(told)["size"] == Path(json.loads(told)["path"]).stat().st_size
    assert code == 0
    damage(store, "run_log")
    code, told = db(tmp_path, "check")
    assert (code, "Tree" in told or "malformed" in told) == (1, True)
    code, told = db(tmp_path, "restore", str(copy))
    assert (code, "the replaced file is" in told) == (0, True)
    assert db(tmp_path, "check", "--full") == (0, "ok\n")


@pytest.mark.e2e
def test_a_store_command_that_fails_prints_one_line(tmp_path: Path) -> None:
    code, told = db(tmp_path, "check")
    assert (code, told.count("\n")) == (2, 1)
    assert "file not found" in told
    assert "has no file" in db(tmp_path, "check", "--store", "sqlite:///:memory:")[1]
    store = SqliteStore(str(tmp_path / "data" / "zato-lite.db"))
    store.open(0)
    copy = tmp_path / "copy.db"
    assert db(tmp_path, "backup", str(copy))[0] == 0  # while it is open

    code, told = db(tmp_path, "restore", str(copy))

    assert (code, told.count("\n")) == (2, 1)
    assert "stop the server first" in told
    store.close()


def test_check_names_the_keys_of_wrong_connections(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    text = '[outgoing.rest.crm]\nurl = "crm"\n[outgoing.rest.billing]\ntimeuot = 5\n'
    (tmp_path / "config" / "zato-lite.toml").write_text(text)

    result = CliRunner().invoke(cli, ["check", "--project", str(tmp_path)])

    assert "[outgoing.rest.billing] timeuot is not known; did you mean 'timeout'?" in result.output
    assert "[outgoing.rest.billing] url is missing" in result.output
    (tmp_path / "config" / "zato-lite.toml").write_text(text.partition("[outgoing.rest.b")[0])

    result = CliRunner().invoke(cli, ["check", "--project", str(tmp_path)])

    assert "[outgoing.rest.crm] url 'crm' is not valid; use http:// or https://" in result.output
    assert result.exit_code == 1
