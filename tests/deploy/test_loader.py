import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.deploy.deployed import deployed

SERVICE = """
from zato_lite import Service

class {name}(Service):
    async def handle(self):
        return {answer!r}
"""


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Callable[[str, str], None]]:
    modules, path = {*sys.modules}, [*sys.path]

    def write(name: str, text: str) -> None:
        file = tmp_path / "services" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    yield write
    sys.path[:] = path
    for name in {*sys.modules} - modules:
        del sys.modules[name]


def test_services_are_found_in_all_files_below_the_folder(
    tmp_path: Path, write: Callable[[str, str], None]
) -> None:
    write("zl_my_api.py", SERVICE.format(name="GetURL", answer=1))
    write("zl_crm/sync.py", SERVICE.format(name="SyncAll", answer=2))
    write("zl_crm/__init__.py", "")
    write(".hidden/no.py", "raise SystemExit")
    write("__pycache__/no.py", "raise SystemExit")

    found = deployed(tmp_path / "services")

    assert found.names == ["sync.sync-all", "zl-my-api.get-url"]
    assert found.failures == []


def test_a_file_that_fails_does_not_stop_the_others(
    tmp_path: Path, write: Callable[[str, str], None]
) -> None:
    write("zl_a.py", "import nothing_of_the_kind")
    write("zl_b.py", "class :")
    write("zl_c.py", "raise SystemExit(2)")
    write("zl_d.py", SERVICE.format(name="Fine", answer=1))

    found = deployed(tmp_path / "services")

    assert found.names == ["zl-d.fine"]
    assert [failure.source.name for failure in found.failures] == ["zl_a.py", "zl_b.py", "zl_c.py"]
    assert found.failures[0].message == (
        "line 1: ModuleNotFoundError: No module named 'nothing_of_the_kind'"
    )
    assert [failure.details.count("  File ") for failure in found.failures] == [1, 1, 1]
    assert "SyntaxError" in found.failures[1].details


def test_an_import_by_the_name_of_the_folder_is_answered_with_the_way_that_works(
    tmp_path: Path, write: Callable[[str, str], None]
) -> None:
    write("zl_a.py", f"from {tmp_path.name}.zl_b import B")

    [failed] = deployed(tmp_path / "services").failures

    assert f"{tmp_path.name}'; files in {tmp_path.name}/ import each other" in failed.message


def test_an_imported_service_belongs_to_its_own_file(
    tmp_path: Path, write: Callable[[str, str], None]
) -> None:
    write("zl_base.py", SERVICE.format(name="Base", answer=1))
    write("zl_also.py", "from zl_base import Base\nclass Also(Base): pass")

    assert deployed(tmp_path / "services").names == ["zl-also.also", "zl-base.base"]


def test_classes_without_handle_or_with_dont_deploy_are_left_out(
    tmp_path: Path, write: Callable[[str, str], None]
) -> None:
    text = SERVICE.format(name="Hidden", answer=1) + "    DONT_DEPLOY = True\n"
    write("zl_h.py", text + "class Abstract(Service): pass\n")

    assert deployed(tmp_path / "services").names == []


def test_a_file_may_have_the_name_of_an_installed_module(
    tmp_path: Path, write: Callable[[str, str], None]
) -> None:
    write("email.py", SERVICE.format(name="Send", answer=1))

    found = deployed(tmp_path / "services")

    assert found.names == ["email.send"]
    assert found.services[0].cls.__module__ == "services.email"


def test_an_explicit_name_replaces_the_derived_one(
    tmp_path: Path, write: Callable[[str, str], None]
) -> None:
    write("zl_n.py", SERVICE.format(name="Named", answer=1) + "    name = 'my.name'\n")

    assert deployed(tmp_path / "services").names == ["my.name"]
