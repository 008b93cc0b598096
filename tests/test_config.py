from pathlib import Path

import pytest

from zato_lite.config import Settings, load
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

    assert str(caught.value).splitlines() == [
        "[server] prot is not known; did you mean 'port'?",
        "[stor] is not known; did you mean 'store'?",
        "[log] colour is not known; known are level, format",
    ]


def test_a_wrong_value_is_named_with_its_place(tmp_path: Path) -> None:
    path = _write(tmp_path, "[server]\nport = 'many'\n")

    with pytest.raises(ConfigError, match=r"Expected `int`.*\$\.server\.port"):
        load(path, {})


def test_a_file_that_is_not_toml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"zato-lite\.toml"):
        load(_write(tmp_path, "server ="), {})


def test_a_variable_for_a_key_that_is_not_a_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a table"):
        load(_write(tmp_path, "server = 1\n"), {"ZATO_LITE_SERVER__PORT": "2"})


def test_the_users_own_table_holds_anything(tmp_path: Path) -> None:
    assert load(_write(tmp_path, "[user.crm]\nurl = 'x'\n"), {}).user == {"crm": {"url": "x"}}
