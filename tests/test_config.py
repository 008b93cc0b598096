import re
from pathlib import Path

import pytest

from zato_lite.config import Settings, for_development, load, load_project
from zato_lite.errors import ConfigError


def _write(folder: Path, text: str) -> Path:
    path = folder / "zato-lite.toml"
    path.write_text(text)
    return path


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml", {}) == Settings()


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = _write(tmp_path, "[server]\nport = 1\nhost = '0.0.0.0'\n")

    settings = load(path, {"ZATO_LITE_SERVER__PORT": "2", "ZATO_LITE_ADMIN_PASSWORD": "x"})

    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 2)  # noqa: S104


def test_unknown_keys_are_all_refused_with_the_nearest_one(tmp_path: Path) -> None:
    path = _write(tmp_path, "[server]\nprot = 1\n[stor]\nurl = ''\n")

    with pytest.raises(ConfigError) as caught:
        load(path, {"ZATO_LITE_LOG__COLOUR": "red"})

    keys = "level, format, tracebacks, access, slow_ms, folder, keep_mb"
    assert str(caught.value).splitlines() == [
        "[server] prot is not known; did you mean 'port'?",
        "[stor] is not known; did you mean 'store'?",
        f"ZATO_LITE_LOG__COLOUR: [log] colour is not known; known are {keys}",
    ]


def test_a_wrong_value_is_named_with_its_place(tmp_path: Path) -> None:
    path = _write(tmp_path, "[server]\nport = 'many'\n")

    with pytest.raises(ConfigError, match=r"Expected `int`.*\$\.server\.port"):
        load(path, {})


def test_a_wrong_word_is_refused_with_the_allowed_ones(tmp_path: Path) -> None:
    words = "Invalid enum value 'all'; use one of 'on', 'off', 'slow' - at `$.log.access`"
    with pytest.raises(ConfigError, match=re.escape(words)):
        load(_write(tmp_path, "[log]\naccess = 'all'\n"), {})


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"zato-lite\.toml"):
        load(_write(tmp_path, "server ="), {})


def test_a_variable_for_a_key_that_is_not_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a table"):
        load(_write(tmp_path, "server = 1\n"), {"ZATO_LITE_SERVER__PORT": "2"})


def test_the_users_own_table_holds_anything(tmp_path: Path) -> None:
    assert load(_write(tmp_path, "[user.crm]\nurl = 'x'\n"), {}).user == {"crm": {"url": "x"}}


@pytest.mark.parametrize("port", ["-1", "65536", "99999", "1e9", "'abc'"])
@pytest.mark.parametrize("key", ["[server]\nport", "[notify]\nsmtp_port"])
def test_a_port_is_in_its_range_and_the_mistake_has_its_line(
    tmp_path: Path, key: str, port: str
) -> None:
    with pytest.raises(ConfigError, match=r"zato-lite\.toml \(line 3\): .*port`"):
        load(_write(tmp_path, f"# a comment\n{key} = {port}\n"), {})


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("server", "workers", 0), ("server", "grace", -1), ("server", "max_body", 0),
        ("scheduler", "capacity", 0), ("scheduler", "jobs_file_errors", "'ignore'"),
        ("notify", "timeout", -0.5), ("server", "max_connections", "true"),
    ],
)  # fmt: skip
def test_other_numbers_and_words_have_their_limits_too(
    tmp_path: Path, table: str, key: str, value: object
) -> None:
    with pytest.raises(ConfigError, match=rf"\(line 2\): .*\$\.{table}\.{key}"):
        load(_write(tmp_path, f"[{table}]\n{key} = {value}\n"), {})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("backend1", ("backend1",)),
        ("a, b,c", ("a", "b", "c")),
        ('["a", "b,c"]', ("a", "b,c")),
        ("", ()),
        ("[]", ()),
        ("*", ("*",)),
    ],
)
def test_a_list_is_given_in_a_variable(
    tmp_path: Path, text: str, expected: tuple[str, ...]
) -> None:
    names = ("SERVER__ALLOWED_HOSTS", "SERVER__TRUSTED_PROXIES", "NOTIFY__WEBHOOKS",
             "NOTIFY__MAIL_TO")  # fmt: skip

    found = load(tmp_path / "none.toml", {f"ZATO_LITE_{name}": text for name in names})

    assert found.server.allowed_hosts == found.server.trusted_proxies == expected
    assert found.notify.webhooks == found.notify.mail_to == expected


def test_a_table_is_given_in_a_variable(tmp_path: Path) -> None:
    environ = {
        "ZATO_LITE_SERVER__CHANNELS": '{"GET /a": "crm.a"}',
        "ZATO_LITE_SERVER__MOUNTS": '{"/other": {"app": "other:app"}}',
    }

    found = load(tmp_path / "none.toml", environ).server

    assert found.channels == {"GET /a": "crm.a"}
    assert found.mounts["/other"].app == "other:app"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SERVER__PORT", "abc"), ("SERVER__PORT", "65536"), ("SERVER__ALLOWED_HOSTS", "[1]"),
        ("SERVER__ALLOWED_HOSTS", "[a"), ("SERVER__CHANNELS", "[]"), ("SERVER__MOUNTS", "x"),
        ("SERVER__MOUNTS", '{"/a": {"ap": "x"}}'), ("LOG__LEVEL", "loud"), ("SERVER__PROT", "1"),
        ("SERVER_PORT", "1"), ("PORT", "1"), ("ADMIN_PASWORD", "x"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named_and_not_the_file(tmp_path: Path, name: str, text: str) -> None:
    path = _write(tmp_path, "[server]\nport = 80\nallowed_hosts = ['a']\n")

    with pytest.raises(ConfigError) as caught:
        load(path, {f"ZATO_LITE_{name}": text})

    assert f"ZATO_LITE_{name}" in str(caught.value)
    assert "zato-lite.toml" not in str(caught.value)


def test_one_underscore_too_few_gets_a_proposal(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean ZATO_LITE_SERVER__PORT"):
        load(tmp_path / "none.toml", {"ZATO_LITE_SERVER_PORT": "8000"})


def test_all_mistakes_are_reported_together(tmp_path: Path) -> None:
    text = "[server]\nport = 70000\nprot = 1\nname = '${NONE}'\n[log]\nlevel = 'loud'\n"

    with pytest.raises(ConfigError) as caught:
        load(_write(tmp_path, text), {"ZATO_LITE_X": "", "ZATO_LITE_SERVER__WORKERS": "0"})

    lines = str(caught.value).splitlines()
    for part in ("port", "prot", "NONE", "level", "ZATO_LITE_X", "ZATO_LITE_SERVER__WORKERS"):
        assert any(part in line for line in lines)


def test_variables_in_the_file_get_their_values(tmp_path: Path) -> None:
    text = """\
[server]
name = "n-${NAME}"
port = "${PORT}"
allowed_hosts = ["a", "Zato_Enmasse_Env.HOST"]
[user.crm]
secret = "Zato_Enmasse_Env.NAME"
kept = "$NAME $5 $${NAME} ${}"
[[user.list]]
deep = "${NAME}${NAME}"
"""
    found = load(_write(tmp_path, text), {"NAME": "x$y", "PORT": "81", "HOST": "h"})

    assert (found.server.name, found.server.port) == ("n-x$y", 81)
    assert found.server.allowed_hosts == ("a", "h")
    assert found.user["crm"] == {"secret": "x$y", "kept": "$NAME $5 ${NAME} ${}"}
    assert found.user["list"] == [{"deep": "x$yx$y"}]


@pytest.mark.parametrize("reference", ["${GONE}", "Zato_Enmasse_Env.GONE", "a${GONE}b"])
@pytest.mark.parametrize(
    "place", ["[server]\nname = '{}'", "[user]\na = '{}'", "[user]\nb = ['{}']"]
)
def test_a_variable_of_the_file_that_is_not_set_is_a_mistake(
    tmp_path: Path, place: str, reference: str
) -> None:
    with pytest.raises(ConfigError, match=r"toml: .*\(line 3\): variable GONE is not set"):
        load(_write(tmp_path, f"# {reference}\n" + place.format(reference)), {})


def test_tables_by_name_are_read_key_by_key(tmp_path: Path) -> None:
    path = tmp_path / "z.toml"
    path.write_text(
        '[outgoing.rest.crm]\ntimeoutt = 5\ntimeout = "x"\n[outgoing.rest]\nbilling = 5\n'
        '[server.mounts."/a"]\nrol = "x"\n'
    )

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert str(caught.value).replace(str(path), "FILE").splitlines() == [
        "FILE (line 7): [server.mounts./a] rol is not known; did you mean 'role'?",
        "FILE: [server.mounts./a] app is missing",
        "FILE (line 2): [outgoing.rest.crm] timeoutt is not known; did you mean 'timeout'?",
        "FILE (line 3): Expected `float`, got `str` - at `$.outgoing.rest.crm.timeout`",
        "FILE: [outgoing.rest.crm] url is missing",
        "FILE (line 5): Expected `object` - at `$.outgoing.rest.billing`",
    ]


def test_connections_are_given_in_a_variable(tmp_path: Path) -> None:
    text = '{"crm": {"url": "http://crm", "retries": 5}}'

    found = load(tmp_path / "none.toml", {"ZATO_LITE_OUTGOING__REST": text})

    assert found.outgoing.rest["crm"].retries == 5


def test_a_development_server_reloads_and_logs_each_request_for_reading() -> None:
    settings = for_development(Settings())

    assert (settings.server.dev, settings.services.reload) == (True, True)
    assert (settings.log.format, settings.log.access) == ("pretty", "on")
    assert not for_development(Settings(), reloads=False).services.reload


def test_ini_files_are_a_part_of_the_users_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAP_HOST", "sap.example.com")
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "zato-lite.toml").write_text("[user]\nlimit = 5\n")
    (folder / "my-erp.ini").write_text("[sap]\nhost = ${SAP_HOST}\nUser = 50%\n[empty]\n")

    found = load_project(tmp_path)

    sections = {"sap": {"host": "sap.example.com", "User": "50%"}, "empty": {}}
    assert found.user == {"limit": 5, "my_erp": sections}


def test_mistakes_in_ini_files_are_all_named(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (folder / "zato-lite.toml").write_text("[user]\ntwice = 5\n")
    (folder / "twice.ini").write_text("[a]\n")
    (folder / "b.ini").write_text("key = 1\n")
    (folder / "c.ini").write_text("[a]\nx = ${NO_SUCH_VARIABLE}\n")

    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path)

    b, c, twice = str(caught.value).splitlines()
    assert "b.ini: File contains no section headers" in b
    assert "c.ini a x (line 2): variable NO_SUCH_VARIABLE is not set" in c
    assert "twice.ini: twice is already in [user] of the settings; rename the file" in twice
