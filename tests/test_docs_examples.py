"""Examples of the documentation run as they stand: each block whose first line names its file."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_docs import ROOT, code_blocks
from zato_lite.config import Server, Services, Settings, Store
from zato_lite.testing.app import sandbox


class FakePool:
    async def fetchval(self, query: str) -> int:
        return 3


@pytest.fixture(autouse=True)
def modules() -> Iterator[None]:
    before, path = {*sys.modules}, [*sys.path]
    yield
    sys.path[:] = path
    for name in {*sys.modules} - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and "/services/" in file:
            del sys.modules[name]


def write_examples(page: str, folder: Path) -> None:
    """Write the blocks of a page that begin with the name of a file."""
    for block in code_blocks(ROOT / "docs" / page):
        first, _, text = block.partition("\n")
        if first.startswith("# ") and first.endswith(".py"):
            path = folder / first.removeprefix("# ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def settings_with(**user: Any) -> Settings:
    return Settings(
        store=Store("sqlite:///:memory:"),
        server=Server(grace=0.0),
        services=Services(reload=False),
        user=user,
    )


async def test_the_examples_of_resources_run(tmp_path: Path) -> None:
    asyncpg = pytest.importorskip("asyncpg")
    write_examples("resources.md", tmp_path)
    settings = settings_with(live_folder="a", old_folder="b")

    async with sandbox(
        project=tmp_path, settings=settings, resources={asyncpg.Pool: FakePool()}
    ) as app:
        assert app.app.problems == ()
        assert await app.invoke("report.report") == 3
        assert await app.invoke("archive.find") == ["a", "b"]
        assert await app.invoke("ledger.total") == 42
        assert "resource ledger" not in await app.app.is_ready()
        starts = app.app.invoker.registry.entries["moments.warm"].calls
    assert starts == 1


@pytest.mark.postgres
async def test_the_pool_of_the_documentation_opens(postgres_url: str, tmp_path: Path) -> None:
    write_examples("resources.md", tmp_path)
    settings = settings_with(database_url=postgres_url, live_folder="", old_folder="")

    async with sandbox(project=tmp_path, settings=settings) as app:
        assert app.app.problems == ()
        assert await app.invoke("report.report") > 100


async def test_the_test_of_the_documentation_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("asyncpg")
    write_examples("resources.md", tmp_path)
    (tmp_path / "config").mkdir()
    settings = "[user]\nlive_folder = 'a'\nold_folder = 'b'\n"
    (tmp_path / "config/zato-lite.toml").write_text(settings)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec((tmp_path / "test_report.py").read_text(), names)  # noqa: S102 - the documentation's code

    await names["test_report"]()


async def test_the_examples_of_middleware_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_examples("middleware.md", tmp_path)
    caplog.set_level("INFO")

    async with sandbox(project=tmp_path, settings=settings_with()) as app:
        assert app.app.problems == ()
        assert await app.invoke("orders.create") == {"id": 1}
        assert [await app.invoke("billing.pay") for _ in range(2)] == [1, 2]

    assert any("orders.create took" in record.getMessage() for record in caplog.records)
