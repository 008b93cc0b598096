"""The samples of Zato's manuals (3.1 and 3.2, without SSO), run one by one.

    python -m tests.zato.manual_samples CHECKOUT [--write] [--show] [--only PAGE]

CHECKOUT is one of https://github.com/zatosource/zato-docs, or its git directory. Each block that
defines a service is deployed as a file, as it stands, and each of its services is invoked over
HTTP. Outgoing connections lead to servers on this machine. redis-server and lxml are needed.
Without ``--write`` the result is compared with ``manual_samples.tsv``; no text of the manuals is
in this repository.

Classes: ``runs``; ``refused``, by ``check``, with a sentence; ``asks``, the sample leaves out what
it requires itself, and is answered so; ``excluded``, as it is about a gateway of another product;
``fails``, in any other way.
"""

import argparse
import asyncio
import json
import logging
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple

import redis as redis_client
from cryptography.fernet import Fernet

from tests.outgoing import redis_server
from tests.outgoing.test_mail import Inbox, mail_server
from tests.zato.asgi_client import PASSWORD, request
from zato_lite.check import check
from zato_lite.server import application

LIST = Path(__file__).with_suffix(".tsv")

_SERVICE = re.compile(r"^class\s+\w+\s*\(.*(Service|Adapter)\b.*\)\s*:", re.MULTILINE)
_CODE = re.compile(r"\s*\.\. (code|code-block|sourcecode)::")
_OPTION = re.compile(r"\s+:[\w-]+:")
_OTHER_MODULE = re.compile(r"'([a-z-]+)\.my-service2'")
_VERB = re.compile(r"def handle_([A-Z]+)\(")

GATEWAYS = {
    r"\.amqp\b": "AMQP",
    r"\.cassandra_(conn|query)\b": "Cassandra",
    r"\.cloud\b": "cloud vendors",
    r"\.(outgoing|out)\.ftp\b": "FTP",
    r"\.email\.imap\b": "IMAP",
    r"\.ibm_mq\b": "IBM MQ",
    r"\.mongodb\b": "MongoDB",
    r"\.odoo\b": "Odoo",
    r"\.search\.(es|solr)\b": "search servers",
    r"\.soap\b": "SOAP",
    r"\.wsx\b|WEB_SOCKET": "WebSocket gateways",
    r"\.zmq\b": "ZeroMQ",
    r"\.pubsub\b": "publish/subscribe",
}
"""Gateways of another product, by what a sample says that is about one."""

_XML = re.compile(r"self\.request\.payload[.,](?!decode|split)|\broot\.(cust|ids)")
_XML_PAGES = re.compile(r"/(xml|soap)\.txt$")


class Sample(NamedTuple):
    """A block of a manual; ``number`` counts the blocks of its page from 1."""

    page: str
    number: int
    text: str

    @property
    def hash(self) -> str:
        """Return the beginning of the text's hash."""
        return sha256(self.text.encode()).hexdigest()[:16]

    @property
    def gateway(self) -> str:
        """Return the gateway that it is about, for which it is excluded; or an empty text."""
        for pattern, name in GATEWAYS.items():
            if re.search(pattern, self.text):
                return name
        is_xml = _XML_PAGES.search(self.page) and _XML.search(self.text)
        return "XML channels" if is_xml else ""


class Result(NamedTuple):
    """The class of a sample, and the reason."""

    kind: str
    why: str = ""


def pages(checkout: Path) -> Iterator[tuple[str, str]]:
    """Yield the pages of the two manuals, without SSO, and their texts."""
    for version in ("3.1", "3.2"):
        for name in _names(checkout, f"{version}/sphinx"):
            if name.endswith(".txt") and "/sso/" not in name:
                yield name, _text(checkout, name)


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", f"--git-dir={folder}", *arguments]
    done = subprocess.run(command, capture_output=True, check=True)  # noqa: S603
    return done.stdout.decode("utf-8", "replace")


def _is_git_directory(folder: Path) -> bool:
    return (folder / "HEAD").exists()


def _names(checkout: Path, under: str) -> list[str]:
    if _is_git_directory(checkout):
        return sorted(_git(checkout, "ls-tree", "-r", "--name-only", "HEAD", under).splitlines())
    return sorted(str(path.relative_to(checkout)) for path in (checkout / under).rglob("*.txt"))


def _text(checkout: Path, name: str) -> str:
    if _is_git_directory(checkout):
        return _git(checkout, "show", f"HEAD:{name}")
    return (checkout / name).read_text("utf-8", "replace")


def blocks(page: str) -> Iterator[str]:
    """Yield the literal blocks of a page, without their indentation."""
    lines = page.expandtabs().splitlines()
    index = 0
    while index < len(lines):
        line = lines[index]
        index += 1
        if not line.strip().endswith("::") and not _CODE.match(line):
            continue
        base, end = _indentation(line), index
        while end < len(lines) and (not lines[end].strip() or _indentation(lines[end]) > base):
            end += 1
        body = lines[index:end]
        while body and (not body[0].strip() or _OPTION.match(body[0])):
            body.pop(0)
        if body:
            yield textwrap.dedent("\n".join(body)).strip("\n")
        is_directive = line.strip().startswith("..") and not _CODE.match(line)
        index = index if is_directive else end


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def samples(checkout: Path) -> list[Sample]:
    """Return the blocks that define a service, each text once."""
    found: dict[str, Sample] = {}
    for page, text in pages(checkout):
        for number, block in enumerate(blocks(text), 1):
            if _SERVICE.search(block):
                found.setdefault(block, Sample(page, number, block))
    return [*found.values()]


# Surroundings that the pages describe

_PAYLOAD = {
    "account_no": "17", "cust": {"details": {"id": 1}, "id": 1}, "cust_id": 1, "cust_no": "7",
    "cust_type": "A", "customer_id": 1, "id": "1", "is_active": "true", "job_timeout": "10",
    "key": "currency", "mydata": {"cust": {"id": 1, "name": "Ann"}}, "name": "wendy",
    "needs_reset": "false", "pool_size": "10", "reset_required": "true",
    "should_continue": "yes", "type": "5", "user_id": "123", "user_name": "ann",
}  # fmt: skip

_TEXTS = {"csv": b"scientific_name\nBellis", "other": b"a,b;c,d"}

_UPSTREAM = {
    "firstName": "Ann", "lastName": "Lee", "DATE": "2026-01-01", "AMOUNT": "7",
    "list": {"resources": [{"resource": {"fields": {"name": "EUR", "price": "1.0"}}}]},
}  # fmt: skip

_OTHERS = """
from zato_lite import Service


def _named(name: str) -> None:
    class Other(Service):
        async def handle(self):
            return {"name": "Ann"}

    Other.name = Other.__qualname__ = name
    globals()[name] = Other


for _name in ("service1", "service2", "my.callback1", "my.callback2", "my.target.callback1",
              "my.target.callback2", "my.retry.target", "my.retry.callback"):
    _named(_name)
"""

_SETTINGS_OF_A_SERVICE = """
from zato_lite import Service


class Settings(Service):
    name = "my-services.my-config-service"

    async def handle(self):
        return {"config": {"value": self.request.payload["key"]}}
"""

_REST = ("CRM", "Payments", "CRM Customer Profile", "CRM Customer Cases", "CRM Connection",
         "Yahoo! Finance", "SetBillingInfo", "Billing", "REST Endpoint", "EuroBank")  # fmt: skip


class _Upstream(BaseHTTPRequestHandler):
    """Another system, which answers any request."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """Log nothing."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = json.dumps(_UPSTREAM).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815


class Servers(NamedTuple):
    """The servers for outgoing connections."""

    http: int
    smtp: int
    redis: str


@contextmanager
def servers(folder: Path) -> Iterator[Servers]:
    """Run the servers for outgoing connections."""
    with ExitStack() as stack:
        http = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), _Upstream))
        Thread(target=http.serve_forever, daemon=True).start()
        stack.callback(http.shutdown)
        url = stack.enter_context(redis_server.running(folder))
        client = redis_client.Redis.from_url(url)
        client.mset(
            {"kvdb:date-format:crm": "DD-MM-YYYY HH:mm", "kvdb:date-format:erp": "YYYY/MM/DD"}
        )
        smtp = stack.enter_context(mail_server(Inbox()))
        yield Servers(http.server_address[1], smtp, url)


def make_project(folder: Path, sample: Sample, found: Servers) -> str:
    """Write a project with the sample and what its page describes; return its module's name."""
    other = _OTHER_MODULE.search(sample.text)
    module = other[1].replace("-", "_") if other else "sample"
    services, settings = folder / "services", folder / "config"
    for each in (services, settings):
        each.mkdir(parents=True)
    (services / f"{module}.py").write_text(sample.text + "\n")
    (services / "others.py").write_text(_OTHERS)
    if "my-services.my-config-service" in sample.text:
        (services / "my_services.py").write_text(_SETTINGS_OF_A_SERVICE)
    (services / "myconfig.py").write_text("config = {}\n")
    rest = "\n".join(
        f'[outgoing.rest."{name}"]\nurl = "http://127.0.0.1:{found.http}"' for name in _REST
    )
    with closing(sqlite3.connect(folder / "crm.db")) as database:
        database.execute("CREATE TABLE IF NOT EXISTS http_soap (name TEXT, data_format TEXT)")
    (settings / "zato-lite.toml").write_text(
        f"""{rest}
[outgoing.sql."CRM Connection"]
url = "sqlite:///crm.db"
[outgoing.sql."my-conn"]
url = "sqlite:///crm.db"
[outgoing.smtp."My Connection"]
host = "127.0.0.1"
port = {found.smtp}
tls = "none"
[cache]
url = "{found.redis}"
[crypto]
key = "{Fernet.generate_key().decode()}"
[user.data1.my1.hello]
a_string = "ink"
a_list = ["pen"]
[services]
reload = false
"""
    )
    return module


class _Errors(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        error = record.exc_info[1] if record.exc_info else None
        self.texts.append(f"{record.getMessage()}: {error!r}" if error else record.getMessage())


async def _invoke_all(folder: Path, module: str, sample: Sample) -> Result:
    errors = _Errors()
    logging.getLogger().addHandler(errors)
    app = application(folder, {**os.environ, "ZATO_LITE_ADMIN_PASSWORD": PASSWORD})
    try:
        status, body = await request(app, "POST", "/zato/api/invoke/zato.service.get-list",
                                      b'{"limit": 500}', "application/json")  # fmt: skip
        listed = json.loads(body) if status == 200 else []
        rows = listed if isinstance(listed, list) else listed.get("items", listed)
        prefix = f"{module.replace('_', '-')}."
        own = [row["name"] for row in rows
               if row["name"].startswith(prefix) or row["name"] in sample.text]  # fmt: skip
        own = [name for name in own if not name.startswith(("zato.", "pub."))
               and name not in _OTHERS]  # fmt: skip
        if not own:
            return Result("fails", f"no service: {errors.texts[:3]} {body[:200]!r}")
        is_csv = "csv" in sample.page or "other-formats" in sample.page
        kind = "text/csv" if is_csv else "application/json"
        payload = (
            _TEXTS["csv" if "csv" in sample.page else "other"]
            if is_csv
            else json.dumps(_PAYLOAD).encode()
        )
        for name in own:
            for method in _VERB.findall(sample.text) or ["POST"]:
                sent = payload if method not in {"GET", "OPTIONS"} else b""
                path = f"/zato/api/invoke/{name}"
                status, body = await request(app, method, path, sent, kind)
                if status == 405 and method in {"GET", "OPTIONS"}:
                    continue  # only channels allow it
                if status in range(400, 500):
                    return Result("asks", json.loads(body)["details"])
                if status >= 400:
                    return Result("fails", f"{name} {method}: {status} {errors.texts[-1:]}")
        await asyncio.sleep(0.5 if "patterns" in sample.text or "async" in sample.text else 0)
        if errors.texts:
            return Result("fails", "; ".join(errors.texts)[:300])
        return Result("runs")
    finally:
        logging.getLogger().removeHandler(errors)
        await _shut_down(app)


async def _shut_down(app: Any) -> None:
    done = asyncio.Event()

    async def receive() -> Any:
        return {"type": "lifespan.shutdown"}

    async def send(message: Any) -> None:
        done.set()

    await app({"type": "lifespan"}, receive, send)


def run(sample: Sample, folder: Path, found: Servers) -> Result:
    """Deploy a sample as a file and invoke its services."""
    module = make_project(folder, sample, found)
    mistakes, _ = check(folder)
    sys.modules.pop(module, None)
    if mistakes:
        return Result("refused", " | ".join(mistakes).replace(str(folder), ""))
    return asyncio.run(_invoke_all(folder, module, sample))


def rows(found: list[tuple[Sample, Result]]) -> list[str]:
    """Return the lines of the list."""
    lines = ["page\tblock\tsha256\tclass\treason"]
    for sample, result in found:
        gateway = sample.gateway
        kind = "excluded" if gateway else result.kind
        why = gateway or ("" if kind == "runs" else result.why)
        lines.append(f"{sample.page}\t{sample.number}\t{sample.hash}\t{kind}\t{why}")
    return lines


def main(arguments: list[str]) -> int:
    """Run the samples of a checkout."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--write", action="store_true", help="write the list")
    parser.add_argument("--show", action="store_true", help="print what does not run")
    parser.add_argument("--only", default="", help="pages whose names contain this")
    options = parser.parse_args(arguments)
    chosen = [each for each in samples(options.checkout) if options.only in each.page]
    if not chosen:
        parser.error(f"{options.checkout} has no samples; name a checkout or its git directory")
    results: list[tuple[Sample, Result]] = []
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as found:
        for index, sample in enumerate(chosen):
            result = run(sample, Path(name) / str(index), found)
            results.append((sample, result))
            if options.show and result.kind != "runs":
                _say(f"{index:3} {sample.page}:{sample.number} [{sample.gateway}] {result}")
    print_figures(results)
    if options.write:
        LIST.write_text("\n".join(rows(results)) + "\n")
        return 0
    different = [*differences(rows(results), LIST.read_text().splitlines())]
    for line in different:
        _say(line)
    return 1 if different else 0


def differences(found: list[str], listed: list[str]) -> Iterator[str]:
    """Yield the samples whose class is not that of the list."""
    known = {line.split("\t")[2]: line.split("\t")[3] for line in listed}
    for line in found:
        page, number, text, kind, why = line.split("\t")
        if known.get(text) != kind:
            yield f"{page}:{number} is {kind}, and {known.get(text)} in the list: {why}"


def print_figures(results: list[tuple[Sample, Result]]) -> None:
    """Print how many there are of each class."""
    kinds: Mapping[str, int] = Counter(
        ("excluded, " if each.gateway else "") + result.kind for each, result in results
    )
    for kind, count in sorted(kinds.items()):
        _say(f"{count:4} {kind}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - a program for people


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
