import itertools
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import run
from zato_lite.cli.project import create
from zato_lite.cli.settings_text import settings_text
from zato_lite.config import Settings, load
from zato_lite.testing import sandbox


async def test_the_service_and_the_job_of_a_new_project_run(tmp_path: Path) -> None:
    list(create(tmp_path))

    async with sandbox(project=tmp_path) as it:
        greeting = await it.invoke("hello.hello", {"name": "Ann"})
        await it.advance("1m")

        assert greeting.message == "Hello, Ann!"
        assert [each.outcome for each in await it.runs("tick")] == ["ok"] * 6


@pytest.mark.e2e
def test_the_tests_of_a_new_project_pass(tmp_path: Path) -> None:
    list(create(tmp_path / "demo"))

    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path / "demo",
        capture_output=True,
        text=True,
        check=False,
    )

    assert "2 passed" in ran.stdout, ran.stdout


def test_a_new_project_has_its_name(tmp_path: Path) -> None:
    assert run("init", str(tmp_path / "My Shop")).status == 0

    assert 'name = "my-shop"' in (tmp_path / "My Shop" / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("with space", "with-space"),
        ("-dash", "dash"),
        ("quo'te\"s;$HOME", "quo-te-s-home"),
        ("日本", "project"),
        ("class", "class"),
        ("a.b", "a-b"),
        ("zato-lite", "zato-lite-project"),
    ],
)
def test_a_folder_may_have_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)

    lines = run("init", "--", folder).out.splitlines()

    [_, enter, place, *rest] = shlex.split(lines[-1])
    assert (enter, rest) == ("cd", ["&&", "zato-lite", "serve"])
    assert not place.startswith("-")
    assert f'name = "{name}"' in (Path(place) / "pyproject.toml").read_text()


def test_a_folder_with_files_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")

    refused = run("init", str(tmp_path))
    assert (refused.status, "--missing" in refused.err) == (6, True)
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
    assert run("init", str(tmp_path), "--missing").status == 0
    assert (tmp_path / "README.md").read_text() == "mine"
    assert (tmp_path / "services" / "hello.py").exists()


def test_the_settings_of_a_new_project_are_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "zato-lite.toml"
    path.write_text(settings_text())
    assert load(path, {}) == Settings()

    path.write_text(re.sub(r"^# (?=\S+ = |\[|\")", "", settings_text(), flags=re.MULTILINE))
    everything = load(path, {})

    defaults = Settings()
    for table in ("store", "scheduler", "services", "notify", "cache", "crypto", "log", "observe"):
        assert getattr(everything, table) == getattr(defaults, table)
    assert everything.server.max_body == defaults.server.max_body
    assert everything.server.channels == {"GET /customers/{id}": "crm.get-customer"}
    assert everything.outgoing.rest["crm"].retries == 2
    assert set(everything.outgoing.sql) == {"shop"}


def test_every_setting_is_described() -> None:
    lines = settings_text().splitlines()
    undescribed = {"port", "key", "max_connections_per_address", "api_version", "api_description"}
    undescribed |= {"cors_headers", "smtp_port", "smtp_password_file", "mail_to"}

    bare = {
        line.split()[1]
        for before, line in itertools.pairwise(lines)
        if re.match(r"# \w+ = ", line) and not before.startswith("## ")
    }

    assert bare <= undescribed
