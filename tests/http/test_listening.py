import asyncio
import os
import signal
import socket
import ssl
from pathlib import Path

import pytest

from tests.http.conftest import Client, running
from zato_lite.errors import ConfigError
from zato_lite.http.app import HttpApp
from zato_lite.http.message import Request, Response
from zato_lite.http.server import Tls, check_address_free

HERE = Path(__file__).parent
PING = b"GET /zato/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    (tmp_path / "c.pem").write_bytes((HERE / "localhost.pem").read_bytes())
    (tmp_path / "k.pem").write_bytes((HERE / "localhost.key.pem").read_bytes())
    return Tls(tmp_path / "c.pem", tmp_path / "k.pem")


async def test_a_renewed_certificate_is_used_without_a_restart(app: HttpApp, tls: Tls) -> None:
    trusting = ssl.create_default_context(cafile=str(tls.certificate))
    async with running(app, tls=tls) as run:
        for number in range(3):
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", run.server.port, ssl=trusting, server_hostname="localhost"
            )
            client = Client(reader, writer)
            client.send(PING)
            assert (await client.answer())[0] == 200
            writer.close()
            if number == 1:
                tls.certificate.write_bytes(b"broken")
            os.kill(os.getpid(), signal.SIGHUP)
            await asyncio.sleep(0)


async def test_a_session_s_cookie_is_secure_over_tls(app: HttpApp, tls: Tls) -> None:
    trusting = ssl.create_default_context(cafile=str(tls.certificate))
    body = b'{"username": "admin.invoke", "password": "secret"}'
    async with running(app, tls=tls) as run:
        client = Client(
            *await asyncio.open_connection(
                "127.0.0.1", run.server.port, ssl=trusting, server_hostname="localhost"
            )
        )
        client.send(
            b"POST /zato/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"
            % (len(body), body)
        )

        _, headers, _ = await client.answer()

        assert headers[b"set-cookie"].endswith(b"Secure")
        client.writer.close()


async def test_a_client_without_tls_is_closed(app: HttpApp, tls: Tls) -> None:
    async with running(app, tls=tls) as run:
        client = await run.connect()
        client.send(PING)

        assert b"HTTP" not in await client.rest()


async def test_the_server_listens_on_a_unix_socket(app: HttpApp, tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with running(app, unix=path) as run:
        client = Client(*await asyncio.open_unix_connection(str(path)))
        client.send(PING)

        assert (await client.answer())[0] == 200
        assert run.server.port == 0
        assert run.server.url == f"unix:{path}"
        client.writer.close()
    assert not path.exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_a_port_in_use_is_refused(app: HttpApp, host: str) -> None:
    async with running(app, host=host) as run:
        port = run.server.port
        with pytest.raises(ConfigError, match=f"cannot listen on {host}:{port}: "):
            check_address_free(host, port)

    check_address_free(host, port)
    check_address_free(host, 0)


async def test_workers_share_their_port(app: HttpApp) -> None:
    async with running(app, reuse_port=True) as run:
        check_address_free("127.0.0.1", run.server.port, reuse_port=True)


async def test_a_unix_socket_in_use_is_refused(app: HttpApp, tmp_path: Path) -> None:
    path = tmp_path / "s"
    check_address_free("", 0, unix=path)
    async with running(app, unix=path):
        with pytest.raises(ConfigError, match=r"cannot listen on .*/s: Address already in use"):
            check_address_free("", 0, unix=path)

    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    check_address_free("", 0, unix=path)


async def test_the_server_knows_its_url(app: HttpApp, tls: Tls) -> None:
    async with running(app) as run, running(app, tls=tls, host="::1") as other:
        assert run.server.url == f"http://127.0.0.1:{run.server.port}"
        assert other.server.url == f"https://[::1]:{other.server.port}"


async def test_several_processes_may_share_a_port(app: HttpApp) -> None:
    async with running(app, reuse_port=True) as run:
        port = run.server.port
        async with running(app, reuse_port=True, port=port) as other:
            assert other.server.port == port


@pytest.mark.parametrize(
    ("trusted", "forwarded", "address"),
    [
        ((), "203.0.113.7", "127.0.0.1"),
        (("127.0.0.0/8",), "203.0.113.7", "203.0.113.7"),
        (("127.0.0.0/8",), "198.51.100.1, 203.0.113.7", "203.0.113.7"),
        (("127.0.0.0/8", "203.0.113.0/24"), "198.51.100.1, 203.0.113.7", "198.51.100.1"),
        (("127.0.0.0/8", "203.0.113.0/24"), "198.51.100.1, ::ffff:203.0.113.7", "198.51.100.1"),
        (("127.0.0.0/8", "2001:db8::/32"), "198.51.100.1, [2001:db8::7]:443", "198.51.100.1"),
        (("127.0.0.0/8",), "", "127.0.0.1"),
        (("127.0.0.0/8",), "127.0.0.1", "127.0.0.1"),
        (("10.0.0.0/8",), "203.0.113.7", "127.0.0.1"),
        (("127.0.0.0/8",), "nonsense", "nonsense"),
    ],
)
async def test_a_trusted_proxy_names_the_client(
    trusted: tuple[str, ...], forwarded: str, address: str
) -> None:
    async def tell(request: Request) -> Response:
        return Response(200, f"{request.remote_address} {request.is_secure}".encode())

    async with running(tell, trusted_proxies=trusted) as run:
        client = await run.connect()
        client.send(
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: %b\r\n\r\n"
            % forwarded.encode()
        )

        _, _, body = await client.answer()

        assert body == f"{address} {'127.0.0.0/8' in trusted}".encode()


async def test_a_service_that_cancels_its_task_breaks_only_its_connection(
    app: HttpApp,
) -> None:
    async def cancel_itself(request: Request) -> Response:
        task = asyncio.current_task()
        assert task is not None
        if request.path == "/now":
            task.cancel()
        if request.path == "/later":
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.sleep(60)
        return Response(200, b"fine")

    async with running(cancel_itself) as run:
        client = await run.connect()
        client.send(b"GET /later HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await client.rest() == b""

        client = await run.connect()
        client.send(b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.answer())[2] == b"fine"
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await client.answer())[2] == b"fine"


async def test_an_exception_of_an_application_is_answered_without_details() -> None:
    async def broken(request: Request) -> Response:
        if request.path == "/later":
            await asyncio.sleep(0)
        raise ValueError("the secret")

    async with running(broken) as run:
        for path in (b"/now", b"/later"):
            client = await run.connect()
            client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % path)

            status, _, body = await client.answer()

            assert status == 500
            assert b"secret" not in body
            assert await client.rest() == b""


async def test_a_service_runs_in_a_task_from_its_first_step() -> None:
    async def timed(request: Request) -> Response:
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(asyncio.sleep(0, "went on"))
            return Response(200, task.result().encode())
        return Response(500)

    async with running(timed) as run:
        client = await run.connect()
        for _ in range(2):
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await client.answer())[::2] == (200, b"went on")


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        ("", ""),
        ("X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"),
        ("X-Forwarded-For: 192.0.2.7, 10.0.0.1\r\n", "10.0.0.1"),
        ("X-Forwarded-For: 192.0.2.7:4711\r\n", "192.0.2.7"),
        ("X-Forwarded-For: [2001:db8::1]:80\r\n", "2001:db8::1"),
        ("X-Forwarded-For: 2001:db8::1\r\n", "2001:db8::1"),
        ("X-Forwarded-For: ,\r\n", ""),
    ],
)
async def test_the_peer_of_a_unix_socket_names_the_client(
    tmp_path: Path, forwarded: str, address: str
) -> None:
    async def tell(request: Request) -> Response:
        return Response(200, request.remote_address.encode() or b"-")

    path = tmp_path / "s"
    async with running(tell, unix=path):
        client = Client(*await asyncio.open_unix_connection(str(path)))
        client.send(f"GET / HTTP/1.1\r\nHost: localhost\r\n{forwarded}\r\n".encode())

        assert (await client.answer())[2] == (address.encode() or b"-")
        client.writer.close()


async def test_without_a_trusted_proxy_no_address_is_believed() -> None:
    async def tell(request: Request) -> Response:
        return Response(200, request.remote_address.encode())

    async with running(tell) as run:
        client = await run.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")

        assert (await client.answer())[2] == b"127.0.0.1"
