"""The files in deploy/, with the programs that they are for."""

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from tests.e2e.conftest import until
from tests.e2e.test_first_start import Started, basic, free_port, serving
from tests.outgoing.certificates import make_certificates
from zato_lite.config import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
SITE = "services.example.com"

SETTINGS = """\
[server]
allowed_hosts = ["services.example.com"]
trusted_proxies = ["127.0.0.1"]
"""

SERVICES = '''\
import asyncio
from collections.abc import AsyncIterator

from zato_lite import Service


class Slow(Service):
    """Answer in two parts, one second apart."""

    async def handle(self) -> AsyncIterator[str]:
        yield "first"
        await asyncio.sleep(1)
        yield "second"


class Size(Service):
    async def handle(self):
        self.response.payload = {"size": len(self.request.raw_request)}
'''


def needed(program: str, package: str) -> str:
    """Return the path of a program, or skip the test and say how to get it."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    return path


def nginx(folder: Path, port: int, backend: int) -> list[str]:
    site = (DEPLOY / "proxies/nginx.conf").read_text()
    site = site.replace("443 ssl", f"127.0.0.1:{port} ssl").replace("17010", str(backend))
    site = site.replace(f"/etc/ssl/{SITE}.pem", f"{folder}/own.pem")
    site = site.replace(f"/etc/ssl/{SITE}.key", f"{folder}/own.key.pem")
    site = site.replace(
        "server_name", f"access_log off;\n    client_body_temp_path {folder};\n    server_name"
    )
    (folder / "site.conf").write_text(site)
    temporary = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;"
        f"events {{}} http {{ {temporary} include {folder}/site.conf; }}"
    )
    return [needed("nginx", "nginx-light"), "-c", f"{folder}/nginx.conf"]


def caddy(folder: Path, port: int, backend: int) -> list[str]:
    site = (DEPLOY / "proxies/Caddyfile").read_text().replace("17010", str(backend))
    site = site.replace(
        f"{SITE} {{", f"{SITE}:{port} {{\n\ttls {folder}/own.pem {folder}/own.key.pem"
    )
    (folder / "Caddyfile").write_text("{\n\tadmin off\n\tauto_https disable_redirects\n}\n" + site)
    program = needed("caddy", "caddy")
    return [program, "run", "--config", f"{folder}/Caddyfile", "--adapter", "caddyfile"]


def haproxy(folder: Path, port: int, backend: int) -> list[str]:
    both = (folder / "own.pem").read_text() + (folder / "own.key.pem").read_text()
    (folder / "both.pem").write_text(both)
    site = (DEPLOY / "proxies/haproxy.cfg").read_text()
    site = site.replace(":443", f"127.0.0.1:{port}").replace("17010", str(backend))
    site = site.replace(f"/etc/ssl/{SITE}.pem", f"{folder}/both.pem")
    (folder / "haproxy.cfg").write_text(site)
    return [needed("haproxy", "haproxy"), "-db", "-f", f"{folder}/haproxy.cfg"]


class Proxy:
    """A proxy before a server."""

    def __init__(self, server: Started, folder: Path, port: int) -> None:
        self.server, self.port = server, port
        self._context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        self.password = (server.folder / "data/admin-password").read_text().strip()

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(SITE, timeout=20)
        plain = socket.create_connection(("127.0.0.1", self.port), 20)
        connection.sock = self._context.wrap_socket(plain, server_hostname=SITE)
        return connection

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = self.connect()
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def is_up(self) -> bool:
        with suppress(OSError):
            return self.ask("GET", "/zato/ping")[0] == 200
        return False

    def invoke(self, service: str, payload: Any = None, **headers: str) -> Any:
        status, _, body = self.ask(
            "POST", f"/zato/api/invoke/{service}", json.dumps(payload),
            Authorization=basic(self.password), **headers,
        )  # fmt: skip
        assert status == 200, body
        return json.loads(body)


@contextmanager
def running(command: list[str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=log.parent)  # noqa: S603
        try:
            yield
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("project")
    for name, text in {"config/zato-lite.toml": SETTINGS, "services/demo.py": SERVICES}.items():
        (folder / name).parent.mkdir()
        (folder / name).write_text(text)
    with serving(folder, terminal=False) as started:
        yield started


@pytest.fixture(params=[nginx, caddy, haproxy], ids=lambda make: make.__name__, scope="module")
def proxy(
    request: pytest.FixtureRequest, server: Started, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxy]:
    make: Callable[[Path, int, int], list[str]] = request.param
    folder, port = tmp_path_factory.mktemp("proxy"), free_port()
    make_certificates(folder, SITE)
    with running(make(folder, port, server.port), folder / "proxy.log"):
        proxy = Proxy(server, folder, port)
        until(proxy.is_up, 20)
        yield proxy


def test_a_person_signs_in_through_the_proxy(proxy: Proxy) -> None:
    signed_in = json.dumps({"username": "admin.invoke", "password": proxy.password})

    status, headers, _ = proxy.ask(
        "POST", "/zato/session", signed_in,
        **{"Content-Type": "application/json", "Origin": f"https://{SITE}"},
    )  # fmt: skip

    assert status == 200
    assert "Secure" in headers["Set-Cookie"]  # X-Forwarded-Proto has been believed
    status, headers, page = proxy.ask(
        "GET", "/dashboard/", Cookie=headers["Set-Cookie"].partition(";")[0]
    )
    assert status == 200
    assert b"<html" in page


def test_the_address_of_a_client_is_not_what_the_client_says(proxy: Proxy) -> None:
    signed_in = json.dumps({"username": "admin.invoke", "password": proxy.password})
    fields = {"Content-Type": "application/json", "X-Forwarded-For": "192.0.2.7"}
    assert proxy.ask("POST", "/zato/session", signed_in, **fields)[0] == 200

    sessions = proxy.invoke("zato.security.session.get-list")

    assert {session["remote_address"] for session in sessions} == {"127.0.0.1"}


def test_events_and_streams_pass_immediately(proxy: Proxy) -> None:
    connection = proxy.connect()
    connection.request(
        "POST", "/zato/api/invoke/demo.slow", headers={"Authorization": basic(proxy.password)}
    )
    response = connection.getresponse()

    began = time.monotonic()
    first = response.read1(5)
    waited = time.monotonic() - began
    rest = response.read()

    assert first + rest == b"firstsecond"
    assert waited < time.monotonic() - began - 0.5  # the first part came well before the second
    connection.close()


def test_the_server_decides_about_the_size_of_a_body(proxy: Proxy) -> None:
    assert proxy.invoke("demo.size", "x" * 1_000_000) == {"size": 1_000_002}

    status, _, body = proxy.ask(
        "POST", "/zato/api/invoke/demo.size", b"x" * 2_000_000, Authorization=basic(proxy.password)
    )

    assert status == 413, body


def test_systemd_finds_the_units_well_confined() -> None:
    program = needed("systemd-analyze", "systemd")
    units = sorted(map(str, (DEPLOY / "systemd").glob("*.service")))

    for unit in units:
        done = subprocess.run(  # noqa: S603
            [program, "security", "--offline=yes", "--no-pager", "--threshold=20", unit],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-500:]
    assert len(units) == 2


@pytest.mark.parametrize(
    "command", [["check", "rules", "alerts.yml"], ["test", "rules", "alerts-test.yml"]]
)
def test_prometheus_accepts_the_alerts(command: list[str]) -> None:
    done = subprocess.run(  # noqa: S603
        [needed("promtool", "prometheus"), *command],
        check=False, capture_output=True, text=True, cwd=DEPLOY / "monitoring",
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_and_alerts_ask_for_metrics_that_exist(server: Started) -> None:
    password = (server.folder / "data/admin-password").read_text().strip()
    ask = {"Authorization": basic(password), "Content-Type": "application/json"}
    job = {"name": "a", "service": "demo.ping", "job_type": "interval_based", "seconds": 1}
    server.ask("POST", "/zato/api/invoke/zato.scheduler.job.create", json.dumps(job), **ask)

    def offered() -> set[str]:
        text = server.ask("GET", "/metrics", **ask)[2]
        return set(re.findall(r"^(zato_\w+)", text, re.MULTILINE))

    for name in ("grafana.json", "alerts.yml"):
        asked = set(re.findall(r"\bzato_\w+", (DEPLOY / "monitoring" / name).read_text()))
        assert len(asked) > 5
        until(lambda: asked <= offered())  # noqa: B023 - called at once


def test_the_image_is_built_from_all_that_the_wheel_needs(tmp_path: Path) -> None:
    root, context = DEPLOY.parent, tmp_path / "context"
    listed = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for name in (line[1:] for line in listed if line.startswith("!")):
        source, target = root / name, context / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)

    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory"]
    subprocess.run([*command, tmp_path], check=True, cwd=context, capture_output=True)  # noqa: S603

    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("zato_lite/")}
    have = {str(path.relative_to(root)) for path in (root / "zato_lite").rglob("*.*")}
    assert {name for name in have if name.endswith((".py", ".sql", ".html"))} <= packed


def test_services_and_pods_of_kubernetes_fit_together() -> None:
    objects = {
        each["kind"]: each for each in yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    }
    pod = objects["Deployment"]["spec"]["template"]
    [container] = pod["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}

    assert objects["Service"]["spec"]["selector"] == pod["metadata"]["labels"]
    assert {port["targetPort"] for port in objects["Service"]["spec"]["ports"]} <= ports
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    assert _uid_of_the_image() == pod["spec"]["securityContext"]["runAsUser"]


def _uid_of_the_image() -> int:
    found = re.search(r"--uid (\d+)", (DEPLOY / "Dockerfile").read_text())
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize(
    "name", ["compose.yaml", "kubernetes.yaml", "Dockerfile", "systemd/zato-lite.service"]
)
def test_settings_of_the_environment_are_known(name: str) -> None:
    used = re.findall(r"ZATO_LITE_([A-Z]+)__([A-Z_]+)", (DEPLOY / name).read_text())

    for section, key in used:
        assert key.lower() in fields_of(section.lower()), f"{section}__{key}"
    assert used


def fields_of(section: str) -> tuple[str, ...]:
    fields: tuple[str, ...] = get_type_hints(Settings)[section].__struct_fields__
    return fields
