"""The examples of the README work word for word beside the services of the repository."""

import re
import shutil
from pathlib import Path

from zato_lite import config
from zato_lite.app import open_app
from zato_lite.builtin.deploy import deploy
from zato_lite.config import load_project
from zato_lite.http.first_start import FILE_NAME
from zato_lite.service.registry import Registry

ROOT = Path(__file__).parents[1]


async def test_the_service_of_the_readme_answers(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "services", tmp_path / "services")
    [block] = re.findall(r"```python\n(# services/billing.py.*?)```", _readme(), re.DOTALL)
    (tmp_path / "services" / "billing.py").write_text(block)

    found = load_project(tmp_path, store="sqlite:///:memory:", reload=False)
    async with open_app(tmp_path, found) as app:
        answer = await app.invoker.invoke("billing.sync-invoices", {"name": "Ann"})

    assert answer == {"answer": "Hello, Ann!"}


async def test_the_schedules_of_the_readme_are_accepted(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "services", tmp_path / "services")
    blocks = re.findall(r"```python\n(.*?)```", _readme(), re.DOTALL)
    [block] = [block for block in blocks if "zato.scheduler.job.create" in block]
    body = "".join(f"        {line}\n" for line in block.splitlines())
    (tmp_path / "services" / "billing.py").write_text(
        "from zato_lite import Service\n\n\nclass SyncInvoices(Service):\n"
        "    async def handle(self): ...\n\n\nclass Setup(Service):\n"
        f"    async def handle(self):\n{body}"
    )

    found = load_project(tmp_path, store="sqlite:///:memory:", reload=False)
    async with open_app(tmp_path, found) as app:
        await app.invoker.invoke("billing.setup")
        jobs = await app.invoker.invoke("zato.scheduler.job.get-list")

    assert sorted(job["job_type"] for job in jobs) == ["cron_style", "one_time"]


def _readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_docs_name_every_built_in_service() -> None:
    docs = "\n".join(path.read_text("utf-8") for path in (ROOT / "docs").glob("*.md"))
    registry = Registry()
    deploy(registry)

    names = [entry.name for entry in registry]

    # Names with the same beginning may be shortened in a list: `a.b.create`, `.edit`.
    assert [
        name for name in names if name not in docs and f"`.{name.rpartition('.')[2]}`" not in docs
    ] == []


def test_the_readme_describes_the_first_start() -> None:
    text = " ".join(_readme().split())

    assert "prints a link, valid once and for 15 minutes" in text
    assert f"`data/{FILE_NAME}`" in text
    assert all(name in text for name in config.VARIABLES if "ADMIN_PASSWORD" in name)
    assert "prints a password" not in text
    assert "admin.invoke:" not in text  # no password among the arguments of curl
