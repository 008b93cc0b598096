from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zato_lite.config import Server, Settings, Store
from zato_lite.errors import BadInputError, ConflictError, UnavailableError
from zato_lite.service.access import needed_role
from zato_lite.store.backup import check_file
from zato_lite.testing.app import Sandbox, sandbox


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[Sandbox]:
    chosen = Settings(store=Store("sqlite:///data/z.db"), server=Server(grace=0.0))
    async with sandbox(project=tmp_path, settings=chosen) as opened:
        yield opened


async def test_the_store_is_checked_on_demand(stored: Sandbox) -> None:
    for is_full in (False, True):
        found = await stored.invoke("zato.store.check", {"is_full": is_full})

        assert found.pop("duration_ms") >= 0
        assert found == {"is_ok": True, "problems": [], "is_full": is_full}


async def test_a_backup_is_made_in_the_folder_of_the_project(
    stored: Sandbox, tmp_path: Path
) -> None:
    made = await stored.invoke("zato.store.backup", {"name": "mine.db"})

    path = tmp_path / "data" / "backups" / "mine.db"
    assert made == {"name": "mine.db", "path": str(path), "size": path.stat().st_size}
    assert list(check_file(path, is_full=True)) == []
    with pytest.raises(ConflictError):
        await stored.invoke("zato.store.backup", {"name": "mine.db"})


@pytest.mark.parametrize("name", ["../up.db", "/etc/passwd", ".hidden", "a b", "n" * 200, 5])
async def test_a_backup_cannot_leave_its_folder(stored: Sandbox, name: object) -> None:
    with pytest.raises(BadInputError):
        await stored.invoke("zato.store.backup", {"name": name})


async def test_a_failed_backup_is_an_error_with_its_reason(
    stored: Sandbox, tmp_path: Path
) -> None:
    (tmp_path / "data" / "backups").write_text("no folder")

    with pytest.raises(UnavailableError, match="cannot be written"):
        await stored.invoke("zato.store.backup")


async def test_a_backup_needs_a_project() -> None:
    async with sandbox() as box:
        with pytest.raises(UnavailableError, match="backups need a project folder"):
            await box.invoke("zato.store.backup")
        assert (await box.invoke("zato.store.check"))["is_ok"]


def test_only_admins_may_check_and_copy_the_store() -> None:
    assert {needed_role(f"zato.store.{name}") for name in ("check", "backup")} == {"admin"}
