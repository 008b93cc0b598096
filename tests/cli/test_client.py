import json
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import PASSWORD, SERVICES, Running, run
from zato_lite.cli.client import Client, find_credentials, with_password
from zato_lite.cli.verb import polls
from zato_lite.errors import ConfigError, UnavailableError

WRONG = "x"
ANN = with_password("ann", PASSWORD, "a test")


def test_exit_statuses_say_the_class_of_an_error(server: Running) -> None:
    server.job("taken")
    name = "taken", "shop.echo", "--at", "2099-01-01"

    assert server.run("invoke", "shop.fail").status == 1
    assert server.run("invoke", "shop.pay", "id=x").status == 2
    assert server.run("job", "list", "--nothing").status == 2
    assert server.run("job", "list", ZATO_LITE_URL="http://127.0.0.1:1").status == 3
    assert server.run("job", "list", ZATO_LITE_PASSWORD=WRONG).status == 4
    assert server.run("invoke", "shop.nothing").status == 5
    assert server.run("job", "create", *name).status == 6
    assert (
        server.run("invoke", "zato.service.invoke", "name=shop.slow", "timeout=0.01").status == 7
    )


def test_a_wrong_password_names_the_user_and_its_place(server: Running) -> None:
    refused = server.run("job", "list", ZATO_LITE_PASSWORD=WRONG, ZATO_LITE_USER="ann")

    assert refused.err.startswith("zato-lite: user 'ann' (ZATO_LITE_PASSWORD) is not accepted by")
    assert "--password-file" in refused.err


def test_an_unknown_job_has_a_suggestion(server: Running) -> None:
    server.job("nightly")

    assert "did you mean 'nightly'?" in server.run("job", "show", "nightli").err
    assert "see zato-lite job list" in server.run("job", "show", "xyz").err


def test_an_api_key_needs_no_password(server: Running, tmp_path: Path) -> None:
    key = server.ask("zato.security.key.create", {"roles": ["viewer"]})["key"]
    (tmp_path / "key").write_text(key)
    (tmp_path / "key").chmod(0o600)

    by_file = server.run(
        "job", "list", "--key-file", str(tmp_path / "key"), ZATO_LITE_PASSWORD=None
    )
    by_variable = server.run("job", "list", ZATO_LITE_PASSWORD=None, ZATO_LITE_API_KEY=key)
    refused = server.run("job", "pause", "nightly", ZATO_LITE_PASSWORD=None, ZATO_LITE_API_KEY=key)

    assert (by_file.status, by_variable.status, refused.status) == (0, 0, 4)
    wrong = server.run("job", "list", ZATO_LITE_PASSWORD=None, ZATO_LITE_API_KEY="x")
    assert "the API key (ZATO_LITE_API_KEY) is not accepted" in wrong.err


def test_a_file_that_others_can_read_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "password"
    file.write_text("secret\n")
    file.chmod(0o644)

    assert find_credentials("ann", file, None, None, {}) is not None
    assert f"chmod 600 {file}" in capsys.readouterr().err
    file.chmod(0o600)
    assert find_credentials("ann", file, None, None, {}) is not None
    assert capsys.readouterr().err == ""


def test_a_project_s_server_is_asked_with_its_first_password(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "zato-lite.db").write_bytes(b"")
    first = tmp_path / "data" / "admin-password"
    first.write_text("generated\n")
    first.chmod(0o600)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\nport = 1\n")

    found = find_credentials("admin.invoke", None, None, first, {})

    assert found == with_password(
        "admin.invoke", "generated", f"the server's first password: {first}"
    )
    assert find_credentials("ann", None, None, first, {}) is None
    paused = run("job", "pause", "x", "--project", str(tmp_path))
    assert (paused.status, "cannot connect" in paused.err) == (3, True)


@pytest.mark.parametrize(
    ("option", "content", "words"),
    [
        ("--password-file", None, "no such file or directory"),
        ("--key-file", None, "no such file or directory"),
        ("--ca", None, "no such file or directory"),
        ("--ca", b"text", "is not a file of certificates in PEM"),
        ("--key-file", b"\xff", "is not text in UTF-8"),
        ("--password-file", b"", "is empty"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_option(
    tmp_path: Path, option: str, content: bytes | None, words: str
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)

    password = {} if option == "--password-file" else {"ZATO_LITE_PASSWORD": "x"}
    ran = run("status", "--url", "https://127.0.0.1:1", option, str(file), **password)

    assert ran.status == 2
    assert ran.err.startswith(f"zato-lite: {option}: {file}")
    assert words in ran.err
    assert "Errno" not in ran.err


def test_a_first_password_that_others_can_read_leads_to_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "first").write_text("generated")
    (tmp_path / "first").chmod(0o644)

    find_credentials("admin.invoke", None, None, tmp_path / "first", {})

    assert capsys.readouterr().err.startswith(
        "zato-lite: the server's first password: other users of this machine can read it"
    )


@pytest.mark.parametrize("text", ["zl_abc_sec\nret", "zl_abc_sec\x1bret", "zl_abc_sécret"])
def test_a_key_that_no_header_can_hold_is_not_shown(tmp_path: Path, text: str) -> None:
    (tmp_path / "key").write_text(text)
    (tmp_path / "key").chmod(0o600)

    refused = [
        run("job", "list", "--url", "http://127.0.0.1:1", "--key-file", str(tmp_path / "key")),
        run("job", "list", "--url", "http://127.0.0.1:1", ZATO_LITE_API_KEY=text),
    ]

    assert [each.status for each in refused] == [2, 2]
    assert not any("ret" in each.err for each in refused)
    assert "ZATO_LITE_API_KEY" in refused[1].err


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ("200 OK\r\n\r\n[1, null]", "answers in another form than zato-lite"),
        ('200 OK\r\nDate: today\r\n\r\n"x"', "answers in another form than zato-lite"),
        ("200 OK\r\n\r\n" + "[" * 100_000, "is not a server of zato-lite"),
        ("302 Found\r\nLocation: /\r\n\r\n", "redirects requests (status 302)"),
        ('409 No\r\n\r\n{"details": "\\u001b[2J\x9b2J"}', "\\x1b[2J\\x9b2J"),
        ("500 No\r\n\r\n\x1b[2J", "\\x1b[2J"),
    ],
)
def test_any_answer_is_a_sentence_that_leaves_the_terminal_alone(answer: str, words: str) -> None:
    with answering(b"HTTP/1.1 " + answer.encode(), 1) as address:
        shown = run("status", "--url", f"http://{address}", ZATO_LITE_PASSWORD=PASSWORD)

    assert words in shown.err
    assert shown.err.rstrip("\n").isprintable()


@pytest.mark.parametrize("command", [["apply"], ["apply", "--dry-run", "-o", "markdown"]])
def test_remarks_beside_a_result_leave_the_terminal_alone(
    tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "jobs.yaml").write_text("scheduler: []\n")
    found = {"created": [], "updated": [], "unchanged": [], "differences": ["\x1b[2J"]}
    answer = b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(found).encode()
    with answering(answer, 1) as address:
        url = ["--url", f"http://{address}"]
        ran = run(*command, str(tmp_path / "jobs.yaml"), *url, ZATO_LITE_PASSWORD=PASSWORD)

    assert (ran.status, ran.err) == (0, "\\x1b[2J\n")


def test_a_connection_that_the_server_has_closed_meanwhile_is_opened_again() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with answering(answer, 2) as address, closing(Client(f"http://{address}", ANN)) as client:
        first = client.invoke("a", "")
        select.select([client._connection.sock], (), (), 5)  # until the server has closed it

        assert (first, client.invoke("a", "")) == ("{}", "{}")


@contextmanager
def answering(answer: bytes, times: int) -> Iterator[str]:
    """A server that sends the same to each connection and closes it; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            for _ in range(times):
                connection, _ = listening.accept()
                with connection, suppress(OSError):  # the client may have left
                    connection.recv(10_000)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(10_000):  # closed with unread bytes, it would be reset
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join(5)


def test_another_server_is_not_taken_for_zato_lite() -> None:
    with answering(b"HTTP/1.0 200 OK\r\n\r\n<html>Hello</html>", 1) as address:
        ran = run("status", "--url", f"http://{address}", ZATO_LITE_PASSWORD=WRONG)

    assert ran.status == 3
    assert ran.err == f"zato-lite: http://{address} is not a server of zato-lite\n"


def test_errors_of_a_connection_are_words(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=r"connection refused; is the server running\?"):
        Client("http://127.0.0.1:1", ANN).invoke("a", "")
    with answering(b"SSH-2.0-x\r\n", 2) as address:
        with pytest.raises(UnavailableError, match="not HTTP; a server with a certificate needs"):
            Client(f"http://{address}", ANN).invoke("a", "")
        with pytest.raises(UnavailableError, match="does not speak TLS; use http://"):
            Client(f"https://{address}", ANN).invoke("a", "")
    (tmp_path / "ca").write_text("none")
    with pytest.raises(ConfigError, match=r"--ca: .* is not a file of certificates"):
        Client("https://127.0.0.1:1", ANN, tmp_path / "ca")
    with pytest.raises(UnavailableError, match=r"cannot connect to http://no\.invalid"):
        Client("http://no.invalid:1", ANN).invoke("a", "")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:17010", "http://127.0.0.1:99999"])
def test_a_wrong_url_is_refused(url: str) -> None:
    ran = run("job", "list", "--url", url, ZATO_LITE_PASSWORD=WRONG)

    assert (ran.status, "--url: " in ran.err) == (2, True)


def test_a_project_is_read_without_a_server(tmp_path: Path) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "shop.py").write_text(SERVICES)
    with Running(tmp_path) as stopped:
        stopped.job("kept")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text("[server]\nport = 1\n")
    before = sorted(path.name for path in (tmp_path / "data").iterdir())

    def ask(*arguments: str) -> Any:
        return run(*arguments, "--project", str(tmp_path), ZATO_LITE_PASSWORD=WRONG)

    listed = ask("job", "list", "-o", "table")
    assert (listed.status, "kept" in listed.out) == (0, True)
    assert "read from a copy of the project's store" in listed.err
    assert ask("job", "history", "kept").status == 0
    assert ask("job", "show", "other").status == 5
    assert ask("job", "pause", "kept").status == 3
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == before


def test_polls_wait_longer_and_longer() -> None:
    waits = polls()

    passed = [next(waits) for _ in range(3)]

    assert passed == sorted(passed)
    assert passed[2] < 1
