"""Request bodies of a service's own limits: read while they arrive, and forms with files."""

import asyncio
import fcntl
import json
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.documented import documented
from tests.http.conftest import BASIC, Client, Running, running
from zato_lite.http import uploads
from zato_lite.http.app import HttpApp
from zato_lite.http.auth import Authenticator
from zato_lite.http.body import BUFFER
from zato_lite.http.endpoints.openapi import openapi_document
from zato_lite.http.endpoints.operations import ServiceDescription
from zato_lite.http.parser import Limits
from zato_lite.http.uploads import UploadFolder
from zato_lite.service.base import Service
from zato_lite.service.binding import binding_of
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry
from zato_lite.service.typed import schema_of
from zato_lite.service.uploads import BodyLimits, UploadedFile

HEAD = b"POST /%b HTTP/1.1\r\nHost: localhost\r\nAuthorization: " + BASIC + b"\r\n"
EDGE = b"---edge"

errors: list[BaseException] = []


class Raw(Service):
    name = "raw"
    rest = "POST /raw"
    body_limits = BodyLimits(size=4_000_000, is_streamed=True)

    async def handle(self) -> Any:
        size = pieces = 0
        try:
            async for piece in self.request.stream:
                size += len(piece)
                pieces += 1
        except BaseException as error:
            errors.append(error)
            raise
        return {"size": size, "pieces": pieces}


class Slow(Service):
    name = "slow"
    rest = "POST /slow"
    body_limits = BodyLimits(size=100_000_000, is_streamed=True)
    go_on = asyncio.Event()

    async def handle(self) -> Any:
        await self.go_on.wait()
        return {"size": sum([len(piece) async for piece in self.request.stream])}


class Refusing(Service):
    name = "refusing"
    rest = "POST /refusing"
    body_limits = BodyLimits(size=100_000_000, is_streamed=True)

    async def handle(self) -> Any:
        return {"refused": True}


class Bigger(Service):
    name = "bigger"
    rest = "POST /bigger"
    body_limits = BodyLimits(size=3_000_000)

    async def handle(self) -> Any:
        return {"size": len(self.request.payload["a"])}


class Smaller(Service):
    name = "smaller"
    rest = "POST /smaller"
    body_limits = BodyLimits(size=10)

    async def handle(self) -> Any:
        return {}


class Photo(msgspec.Struct):
    title: str
    year: int
    image: UploadedFile
    more: list[UploadedFile] = []


class Album(Service[Photo, dict[str, Any]]):
    """Take a photo."""

    name = "album"
    rest = "POST /albums/{title}"
    body_limits = BodyLimits(
        size=4_000_000, files=3, file_size=2_000_000, fields=5, field_size=1000
    )
    kept = Path()

    async def handle(self) -> Any:
        sent = self.request.input
        found = {
            "title": sent.title,
            "year": sent.year,
            "name": sent.image.name,
            "type": sent.image.content_type,
            "size": sent.image.size,
            "is_there": sent.image.path.exists(),
            "mode": sent.image.path.stat().st_mode & 0o777,
            "begin": (await sent.image.read())[:5].decode("latin-1"),
            "more": [each.size for each in sent.more],
        }
        if sent.more:
            await sent.more[0].save(self.kept)
        return found


class Plain(Service):
    name = "plain"
    rest = "POST /plain"

    async def handle(self) -> Any:
        return {"payload": self.request.payload}


SERVICES = (Raw, Slow, Refusing, Bigger, Smaller, Album, Plain)


class Harness:
    def __init__(self, run: Running, folder: Path) -> None:
        self.run, self.folder = run, folder

    async def open(self, path: str, *fields: bytes) -> Client:
        client = await self.run.connect()
        client.send(HEAD % path.encode() + b"".join(each + b"\r\n" for each in fields) + b"\r\n")
        return client

    async def post(self, path: str, body: bytes, *fields: bytes) -> tuple[int, Any]:
        client = await self.open(path, b"Content-Length: %d" % len(body), *fields)
        client.send(body)
        status, _, answer = await client.answer()
        return status, json.loads(answer)

    async def form(self, *parts: tuple[bytes, bytes], path: str = "albums/t") -> tuple[int, Any]:
        body = form(*parts)
        kind = b"Content-Type: multipart/form-data; boundary=" + EDGE
        return await self.post(path, body, kind)

    @property
    def files(self) -> list[Path]:
        return [each for each in self.folder.rglob("*") if each.is_file() and each.name != "lock"]


def form(*parts: tuple[bytes, bytes]) -> bytes:
    """Return a form of parts: what their Content-Disposition says, and their content."""
    text = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\n\r\n%b\r\n" % (EDGE, head, content)
        for head, content in parts
    )
    return text + b"--%b--\r\n" % EDGE


YEAR = (b'name="year"', b"1999")
IMAGE = (b'name="image"; filename="a.png"\r\nContent-Type: image/png', b"\x89PNG" + b"x" * 500_000)


@pytest.fixture
async def harness(authenticator: Authenticator, tmp_path: Path) -> AsyncIterator[Harness]:
    errors.clear()
    Slow.go_on = asyncio.Event()
    Album.kept = tmp_path / "kept"
    registry = Registry()
    for cls in SERVICES:
        registry.add(cls)
    folder = UploadFolder(tmp_path / "uploads")
    app = HttpApp(Invoker(registry).begin, registry, authenticator, uploads=folder)
    async with running(app.begin, plan_body=app.plan_body) as run:
        yield Harness(run, tmp_path / "uploads")
    folder.close()


# Streams


@pytest.mark.parametrize("size", [0, 1, 20_000, 3_000_000])
async def test_a_body_is_read_while_it_arrives(harness: Harness, size: int) -> None:
    status, answer = await harness.post("raw", b"x" * size)

    assert (status, answer["size"]) == (200, size)
    assert answer["pieces"] >= size // 300_000


async def test_chunks_are_read_and_the_connection_stays_open(harness: Harness) -> None:
    client = await harness.open("raw", b"Transfer-Encoding: chunked")
    client.send(b"5\r\nhello\r\n")
    await asyncio.sleep(0.05)
    client.send(b"6\r\n world\r\n0\r\n\r\n" + HEAD % b"plain" + b"Content-Length: 2\r\n\r\n[]")

    first, second = await client.answer(), await client.answer()

    assert json.loads(first[2])["size"] == 11
    assert json.loads(second[2]) == {"payload": []}


async def test_the_same_head_again_is_read_again(harness: Harness) -> None:
    client = await harness.run.connect()
    for _ in range(3):
        client.send(HEAD % b"raw" + b"Content-Length: 3\r\n\r\nabc")
        assert json.loads((await client.answer())[2]) == {"size": 3, "pieces": 1}


async def test_a_request_without_a_body_has_an_empty_stream(harness: Harness) -> None:
    client = await harness.open("raw")

    assert json.loads((await client.answer())[2])["size"] == 0


@pytest.mark.parametrize("coding", [b"Content-Length: 4000001", b"Transfer-Encoding: chunked"])
async def test_a_body_beyond_the_limit_is_refused(harness: Harness, coding: bytes) -> None:
    client = await harness.open("raw", coding)
    if b"chunked" in coding:
        client.send(b"3D0901\r\n" + b"x" * 4_000_001)

    status, _, _ = await client.answer()

    assert status == 413
    assert await client.rest() == b""


async def test_a_client_that_waits_to_continue_is_asked_when_the_service_reads(
    harness: Harness,
) -> None:
    client = await harness.open("slow", b"Content-Length: 3", b"Expect: 100-continue")
    await asyncio.sleep(0.05)
    connection = next(iter(harness.run.server.connections))
    connection.check_timeouts(harness.run.server.now + 60)  # it is the service that is slow
    Slow.go_on.set()
    async with asyncio.timeout(10):
        told = await client.reader.readuntil(b"\r\n\r\n")
    client.send(b"abc")

    assert told == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert json.loads((await client.answer())[2]) == {"size": 3}


async def test_a_body_that_is_not_read_is_not_received(harness: Harness) -> None:
    client = await harness.open("slow", b"Content-Length: 50000000")
    for _ in range(50):
        client.send(b"x" * 1_000_000)
    connection = next(iter(harness.run.server.connections))
    for _ in range(1000):
        await asyncio.sleep(0.01)
        if connection._parser.is_full:
            break

    assert connection._parser.received < 2 * BUFFER
    assert connection.state().is_paused
    Slow.go_on.set()
    assert json.loads((await client.answer())[2]) == {"size": 50_000_000}


async def test_an_answer_before_the_end_of_the_body_closes(harness: Harness) -> None:
    client = await harness.open("refusing", b"Content-Length: 50000000")
    client.send(b"x" * 100_000)

    status, headers, body = await client.answer()

    assert (status, json.loads(body)) == (200, {"refused": True})
    assert headers[b"connection"] == b"close"
    assert await client.rest() == b""


async def test_without_credentials_the_body_is_not_awaited(harness: Harness) -> None:
    client = await harness.run.connect()
    client.send(b"POST /raw HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\nabc")

    assert (await client.answer())[0] == 401


async def test_a_client_that_leaves_is_an_error_where_the_body_is_read(harness: Harness) -> None:
    client = await harness.open("raw", b"Content-Length: 100")
    client.send(b"abc")
    await asyncio.sleep(0.05)

    client.writer.close()
    for _ in range(500):
        if errors:
            break
        await asyncio.sleep(0.01)

    assert "the client has left" in str(errors[0])


async def test_a_client_that_sends_too_slowly_is_refused(harness: Harness) -> None:
    harness.run.server.limits = Limits(body_grace_seconds=1.0)
    client = await harness.open("raw", b"Content-Length: 100000")
    client.send(b"x" * 50)

    status, _, _ = await client.answer()

    assert status == 408
    assert await client.rest() == b""


async def test_a_broken_chunk_is_an_error_of_the_request(harness: Harness) -> None:
    client = await harness.open("raw", b"Transfer-Encoding: chunked")
    client.send(b"3\r\nabc\r\nnonsense\r\n")

    assert (await client.answer())[0] == 400
    assert await client.rest() == b""


async def test_a_service_may_have_a_larger_or_a_smaller_limit(harness: Harness) -> None:
    text = json.dumps({"a": "x" * 2_000_000}).encode()

    assert await harness.post("bigger", text) == (200, {"size": 2_000_000})
    assert (await harness.post("plain", text))[0] == 413
    status, answer = await harness.post("smaller", b"[1,2,3,4,5,6]")
    assert (status, answer["details"]) == (413, "body is too large; at most 10 bytes are accepted")
    assert (await harness.post("smaller", b"[1]"))[0] == 200


async def test_requests_before_an_upload_are_answered_on_the_same_connection(
    harness: Harness,
) -> None:
    client = await harness.run.connect()
    plain = HEAD % b"plain" + b"Content-Length: 2\r\n\r\n[]"
    client.send(plain + plain + HEAD % b"raw" + b"Content-Length: 6\r\n\r\nabc")
    answers = [await client.answer(), await client.answer()]
    client.send(b"def")
    answers.append(await client.answer())

    assert [json.loads(body) for _, _, body in answers] == [
        {"payload": []},
        {"payload": []},
        {"size": 6, "pieces": 2},
    ]


# Forms


async def test_a_form_is_bound_to_the_input_and_its_files_are_on_disk(harness: Harness) -> None:
    status, answer = await harness.form(YEAR, IMAGE, (b'name="more"; filename="b"', b"bb"))

    assert (status, answer) == (
        200,
        {
            "title": "t",
            "year": 1999,
            "name": "a.png",
            "type": "image/png",
            "size": 500_004,
            "is_there": True,
            "mode": 0o600,
            "begin": "\x89PNGx",
            "more": [2],
        },
    )
    assert Album.kept.read_bytes() == b"bb"
    assert harness.files == []


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (b"../../etc/passwd", "passwd"),
        (b"C:\\\\a\\\\b.txt", "b.txt"),
        (b"a\tb", "a_b"),
        (b"..", ".."),
    ],
)
async def test_the_name_of_a_file_has_no_folders(harness: Harness, sent: bytes, name: str) -> None:
    _, answer = await harness.form(YEAR, (b'name="image"; filename="%b"' % sent, b"x"))

    assert answer["name"] == name


@pytest.mark.parametrize(
    ("parts", "status", "details"),
    [
        ([YEAR], 400, "image"),
        ([(b'name="year"', b"x"), IMAGE], 400, "year"),
        ([YEAR, (b'name="image"', b"text")], 400, "Expected `UploadedFile`"),
        ([YEAR, *[IMAGE] * 4], 413, "image: too many files of a form; at most 3"),
        ([(b'name="a"', b"1")] * 6, 413, "a: too many fields of a form; at most 5"),
        ([(b'x="a"', b"1")] * 6, 413, "too many fields of a form; at most 5"),
        ([(b'name="a"', b"1" * 1001)], 413, "a: too many bytes; at most 1000"),
        ([YEAR, (b'name="image"; filename="a"', b"x" * 2_000_001)], 413, "image: too many bytes"),
        ([(b'name="a"', b"\xff")], 400, "a: text is not UTF-8"),
        ([(b'name="a"\r\nX: ' + b"y" * 5000, b"1")], 400, "not a valid multipart form"),
    ],
)
async def test_a_wrong_form_is_refused_and_leaves_no_file(
    harness: Harness, parts: list[tuple[bytes, bytes]], status: int, details: str
) -> None:
    found, answer = await harness.form(*parts)

    assert found == status
    assert details in answer["details"]
    assert harness.files == []


@pytest.mark.parametrize("body", [b"", b"nonsense", form(YEAR, IMAGE)[:-20]])
async def test_an_incomplete_form_is_refused(harness: Harness, body: bytes) -> None:
    kind = b"Content-Type: multipart/form-data; boundary=" + EDGE

    status, answer = await harness.post("albums/t", body, kind)

    assert (status, harness.files) == (400, [])
    assert "multipart" in answer["details"] or "image" in answer["details"]


async def test_an_input_without_a_file_is_not_sent(harness: Harness) -> None:
    blank = (b'name="more"; filename=""\r\nContent-Type: application/octet-stream', b"")

    assert (await harness.form(YEAR, IMAGE, blank))[1]["more"] == []
    status, answer = await harness.form(YEAR, (b'name="image"; filename=""', b""))
    assert (status, answer["errors"][0]["field"]) == (400, "image")
    assert (await harness.form(YEAR, (b'name="image"; filename=""', b"x")))[1]["size"] == 1


async def test_another_type_that_begins_like_a_form_is_none(harness: Harness) -> None:
    kind = b"Content-Type: multipart/form-data-x; boundary=" + EDGE

    assert (await harness.post("albums/t", form(YEAR, IMAGE), kind))[0] == 400


async def test_a_form_without_a_boundary_is_refused(harness: Harness) -> None:
    status, answer = await harness.post(
        "albums/t", form(YEAR), b"Content-Type: multipart/form-data"
    )

    assert (status, answer["details"]) == (400, "multipart form has no valid boundary")


async def test_json_cannot_name_a_file_of_the_server(harness: Harness) -> None:
    body = {"year": 1, "image": {"name": "a", "path": "/etc/passwd", "content_type": ""}}

    status, _ = await harness.post("albums/t", json.dumps(body).encode())

    assert status == 400


async def test_a_client_that_leaves_in_the_middle_leaves_no_file(harness: Harness) -> None:
    kind = b"Content-Type: multipart/form-data; boundary=" + EDGE
    client = await harness.open("albums/t", b"Content-Length: 3000000", kind)
    client.send(form(YEAR, IMAGE)[:400_000])
    for _ in range(500):
        if harness.files:
            break
        await asyncio.sleep(0.01)
    assert harness.files

    client.writer.close()
    for _ in range(500):
        if not harness.files:
            break
        await asyncio.sleep(0.01)

    assert harness.files == []


def test_files_of_a_dead_process_are_removed_at_the_next_start(tmp_path: Path) -> None:
    alive, dead = UploadFolder(tmp_path), UploadFolder(tmp_path)
    alive.new_path().write_bytes(b"a")
    dead.new_path().write_bytes(b"d")
    assert dead._lock is not None
    dead._lock.close()  # as the kernel does when the process dies

    UploadFolder(tmp_path)

    found = [each.read_bytes() for each in tmp_path.rglob("1")]
    assert found == [b"a"]
    alive.close()
    assert [*tmp_path.iterdir()] == []


def test_a_start_leaves_a_folder_that_another_process_is_making(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def start_another(file: Any, kind: int) -> None:
        if kind == fcntl.LOCK_EX:
            UploadFolder(tmp_path)
        lock(file, kind)

    monkeypatch.setattr(fcntl, "flock", start_another)
    folder = UploadFolder(tmp_path)

    folder.new_path().write_bytes(b"a")

    assert [each.read_bytes() for each in tmp_path.rglob("1")] == [b"a"]
    folder.close()
    assert [*tmp_path.iterdir()] == []


def test_folders_of_processes_that_died_while_they_made_them_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    tempfile.mkdtemp(dir=tmp_path, prefix=".")  # one died before it had a lock
    dead = UploadFolder(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", die)
        with pytest.raises(KeyboardInterrupt):
            dead.new_path()
    assert dead._lock is not None
    dead._lock.close()  # as the kernel does when the process dies

    UploadFolder(tmp_path)

    assert [*tmp_path.iterdir()] == []


def test_openapi_describes_forms_and_streams() -> None:
    def body(cls: Any, kind: str) -> Any:
        binding = binding_of(cls.input)
        described = ServiceDescription(
            "a.b",
            "",
            (),
            schema_of(cls.input),
            {},
            fields=binding.fields if binding else (),
            body=kind,
        )
        document = openapi_document([described])
        content = document["paths"]["/zato/api/invoke/a.b"]["post"]["requestBody"]["content"]
        return content, document["components"]["schemas"]

    Taking = type("Taking", (), {"input": Photo})  # noqa: N806 - a class
    content, schemas = body(Taking, "multipart/form-data")
    raw, _ = body(type("Raw", (), {"input": None}), "application/octet-stream")

    assert [*content] == ["multipart/form-data"]
    assert schemas["Photo"]["properties"]["image"] == {"type": "string", "format": "binary"}
    assert raw == {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


async def test_the_examples_of_the_documentation_do_what_it_says(
    authenticator: Authenticator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = documented("http.md", "## Uploads")
    registry, folder = Registry(), UploadFolder(tmp_path / "uploads")
    registry.add(names["Album"])
    registry.add(names["Import"])
    app = HttpApp(Invoker(registry).begin, registry, authenticator, uploads=folder)
    async with running(app.begin, plan_body=app.plan_body) as run:
        harness = Harness(run, tmp_path / "uploads")
        album = await harness.form(IMAGE, path="albums/summer")
        imported = await harness.post("import", b"x" * 2_000_000)
    folder.close()

    assert album == (200, {"summer": 500_004})
    assert imported == (200, {"size": 2_000_000})
    assert (tmp_path / "photo.png").stat().st_size == 500_004


def test_forms_are_read_by_multipart_also_beside_python_multipart() -> None:
    pytest.importorskip("python_multipart")  # the MCP SDK needs it

    assert Path(uploads.multipart.__file__).name == "multipart.py"
    assert uploads.multipart.parse_options_header("a; b=c") == ("a", {"b": "c"})
