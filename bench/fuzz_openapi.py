"""Schemathesis against a server of a temporary project, by its own OpenAPI document.

The project has typed services and is served on a free port of this machine. Left out, also as
names in payloads: ``demo.sleep``, ``test.raise``, ``zato.hot-deploy.create`` (it writes code) and
``zato.notify.*`` (they contact other servers). ``zato.service.edit``, which deactivates services,
runs separately at the end.

    make fuzz-openapi ARGS='--examples 200 --seed 1'
    make fuzz-openapi ARGS="--only '^zato_service'"     # operations whose id begins so
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from zato_lite.cli.project import create

PASSWORD = "attack-me"  # noqa: S105 - of a server that lives for this run
LEFT_OUT = (
    "demo.sleep", "test.raise", "zato.hot-deploy.create", "zato.notify.email",
    "zato.notify.webhook",
)  # fmt: skip
LAST = "zato.service.edit"
HOOKS = f"""\
import schemathesis


@schemathesis.hook
def filter_body(context, body):
    return not (isinstance(body, dict) and body.get("name") in {LEFT_OUT!r})
"""
CHECKS = (
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_headers_conformance", "response_schema_conformance",
)  # fmt: skip
SHOP = """\
from typing import Annotated

import msgspec

from zato_lite import Service


class Line(msgspec.Struct):
    sku: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    count: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    note: str | None = None


class Order(msgspec.Struct):
    customer: str
    lines: list[Line]
    is_urgent: bool = False


class Placed(msgspec.Struct):
    customer: str
    items: int


class Customer(msgspec.Struct):
    id: str


class PlaceOrder(Service):
    input = Order
    output = Placed
    rest = "POST /customers/{id}/orders"

    async def handle(self):
        order = self.request.input
        self.response.payload = Placed(order.customer, sum(line.count for line in order.lines))


class GetCustomer(Service):
    output = Customer
    rest = ("GET /customers/{id}", "GET /regions/{region}/customers/{id}")

    async def handle(self):
        self.response.payload = Customer(self.request.params.get("id", "nobody"))
"""


def main() -> int:
    """Serve, attack, and print the findings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", default="200")
    parser.add_argument("--port", default="17997")
    parser.add_argument("--max-time", help="seconds")
    parser.add_argument("--seed")
    parser.add_argument("--only", help="a pattern that the id of an operation is to match")
    asked = parser.parse_args()
    beside = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "attacked"
        for _ in create(project):
            pass
        (project / "services" / "shop.py").write_text(SHOP, encoding="utf-8")
        log = (Path(folder) / "log").open("wb")
        server = subprocess.Popen(
            [beside / "zato-lite", "serve", "--port", asked.port, "--no-reload"],
            cwd=project,
            env={**os.environ, "ZATO_LITE_ADMIN_PASSWORD": PASSWORD},
            stdout=log,
            stderr=log,
        )
        try:
            return attacked(asked, beside, folder)
        finally:
            server.terminate()
            server.wait(60)
            log.close()


def attacked(asked: argparse.Namespace, beside: Path, folder: str) -> int:
    """Run schemathesis; its exit code."""
    statuses = [_run(asked, beside, folder, [*_left_out(*LEFT_OUT, LAST)])]
    if asked.only is None or re.search(asked.only, _id(LAST)):
        statuses.append(
            _run(asked, beside, folder, ["--include-operation-id", _id(LAST)], only=False)
        )
    return max(statuses)


def _left_out(*names: str) -> Iterator[str]:
    for name in names:
        yield from ("--exclude-operation-id", _id(name))


def _id(service: str) -> str:
    return re.sub(r"\W+", "_", service)


def _run(
    asked: argparse.Namespace, beside: Path, folder: str, which: list[str], *, only: bool = True
) -> int:
    command = [
        str(beside / "schemathesis"), "run", f"http://127.0.0.1:{asked.port}/openapi.json",
        "--wait-for-schema", "30", "--auth", f"admin.invoke:{PASSWORD}",
        "--phases", "examples,coverage,fuzzing", "--max-examples", asked.examples,
        "--checks", ",".join(CHECKS), "--continue-on-failure", "--no-shrink",
        "--suppress-health-check", "all",
    ]  # fmt: skip
    command += which
    given = {
        "--max-time": asked.max_time,
        "--seed": asked.seed,
        "--include-operation-id-regex": asked.only if only else None,
    }
    for option, value in given.items():
        command += [option, value] if value else []
    (Path(folder) / "hooks.py").write_text(HOOKS, encoding="utf-8")
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks"}
    return subprocess.run(command, cwd=folder, env=environ, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
