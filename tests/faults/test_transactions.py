"""Rows of a program and runs that it enqueues agree, however its transactions end."""

import random
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from tests.e2e.conftest import until
from tests.faults import transactions
from tests.faults.process import Server

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

SHIP = """
from zato_lite import Service


class Ship(Service):
    name = "orders.ship"

    async def handle(self):
        import psycopg
        async with await psycopg.AsyncConnection.connect(self.config.database) as connection:
            key = self.request.payload["key"]
            await connection.execute("INSERT INTO shipped VALUES (%s)", (key,))
"""
TABLES = """CREATE TABLE orders (key text, run bigint);
CREATE TABLE shipped (key text);"""


def programs(url: str, count: int) -> list[str]:
    """Run programs until they have ended so many transactions; return what they said.

    Each second one is killed, in the middle of anything.
    """
    dice, said, seed = random.Random(count), list[str](), 0
    while len(said) < count:
        seed += 1
        command = [sys.executable, transactions.__file__, url, str(seed), "100"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:  # noqa: S603
            assert program.stdout is not None
            said.append(program.stdout.readline())
            if seed % 2:
                time.sleep(dice.random() * 0.3)
                program.kill()
            said += program.communicate()[0].splitlines(keepends=True)
    return [line.strip() for line in said if line.endswith("\n")]


def check(tmp_path: Path, url: str, count: int) -> None:
    server = Server(tmp_path)
    (tmp_path / "services" / "orders.py").write_text(SHIP)
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "zato-lite.toml").write_text(
        f"[store]\nurl = '{url}'\n[scheduler]\ncapacity = 20\n[user]\ndatabase = '{url}'\n"
    )
    server.start()
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(TABLES.encode())
            said = programs(url, count)

            def rows(query: str) -> list[tuple[object, ...]]:
                return connection.execute(query.encode()).fetchall()

            kept = rows("SELECT key, run FROM orders")
            until(lambda: len(rows("SELECT 1 FROM shipped")) >= len(kept), 60)
            runs = rows("SELECT id FROM run WHERE kind = 'async' AND job_id = 0")
            shipped = rows("SELECT key FROM shipped")

        assert {*said} - {"rolled back"} <= {key for key, _ in kept}
        assert {run for _, run in kept} == {run for (run,) in runs}
        assert sorted(str(key) for key, _ in kept) == sorted(str(key) for (key,) in shipped)
        print(f"{len(said)} transactions: {len(kept)} rows, {len(runs)} runs")  # noqa: T201
    finally:
        server.kill()


def test_rows_and_runs_agree_after_commits_rollbacks_and_kills(
    tmp_path: Path, postgres_url: str
) -> None:
    check(tmp_path, postgres_url, 400)


@pytest.mark.slow
def test_rows_and_runs_agree_after_ten_thousand_transactions(
    tmp_path: Path, postgres_url: str
) -> None:
    check(tmp_path, postgres_url, 10_000)
