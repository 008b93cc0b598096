"""What zato-lite does not offer is reported at deployment and by ``check``, with what to use."""

import logging
import re
from pathlib import Path

import pytest

from zato_lite.check import check
from zato_lite.zato.not_offered import ATTRIBUTES, MODULES, NAMES, PATHS, of_module, of_name

pytestmark = pytest.mark.usefixtures("imports")

HEAD = "from zato.server.service import Service\n"


def mistakes(folder: Path, text: str | bytes) -> list[str]:
    services = folder / "services"
    services.mkdir(exist_ok=True)
    (services / "old.py").write_bytes(text.encode() if isinstance(text, str) else text)
    found, _ = check(folder)
    return [each.partition("services/old.py: ")[2] for each in found]


def service(body: str, head: str = HEAD) -> str:
    lines = "\n".join(f"        {line}" for line in body.splitlines())
    return f"{head}\nclass Old(Service):\n    def handle(self):\n{lines}\n"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("self.outgoing.ftp.get('x')", "self.outgoing.ftp is Zato's FTP connections"),
        ("self.out.soap['x'].conn", "self.out.soap is Zato's SOAP connections"),
        ("self.pubsub.publish('/t')", "self.pubsub is Zato's publish/subscribe"),
        ("self.email.imap.get('x')", "self.email.imap is Zato's IMAP connections"),
        ("out = self.out\nout.zmq.send('x')", "self.out.zmq is Zato's ZeroMQ connections"),
        ("self.kvdb.lua_container.run_lua('x')", "self.kvdb.lua_container is Zato's Lua"),
        ("self.server.fs_server_config", "self.server.fs_server_config is Zato's server.conf"),
        ("self.out.sql['x'].session().callproc('p')", "callproc is Zato's call of stored"),
        ("self.request.payload.encode('base64')", "encode('base64') is Python 2's"),
        ("self.invoke('zato.security.get-list')", "service zato.security.get-list is one of"),
        ("root = self.request.payload\nroot.cust.id.text", "self.request.payload.cust.id.text"),
        ("getattr(self.request.payload, '{x}id')", "self.request.payload: '{x}id' is an element"),
        ("print(response)", "response is not defined"),
    ],
)
def test_a_line_that_would_fail_is_named(tmp_path: Path, body: str, what: str) -> None:
    (found,) = mistakes(tmp_path, service(body))

    line = 4 + len(body.splitlines())
    assert found.startswith(f"line {line}: ")
    assert what in found
    assert ("Old: " in found) is ("not defined" not in found)


def test_a_file_with_such_lines_is_deployed_and_its_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = service("self.ftp.get('x')") + "\nclass Good(Service):\n    def handle(self): ...\n"

    with caplog.at_level(logging.ERROR):
        (found,) = mistakes(tmp_path, text)

    assert found == (
        "line 5: Old: self.ftp is Zato's FTP connections, not in zato-lite; use a client library,"
        " with its settings in self.config"
    )
    (record,) = [each for each in caplog.records if each.levelno == logging.ERROR]
    assert record.__dict__["why"] == found


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("from zato.common.odb.model import Cluster",
         "zato.common.odb is Zato's database, not in zato-lite; use self.out.sql"),
        ("from zato.server.service import RESTAdapter",
         "RESTAdapter is Zato's adapters, not in zato-lite; use self.out.rest"),
        ("from zato.common.api import Groups",
         ("zato.common.api.Groups is a part of Zato, not in zato-lite; use what the page"
          " «From Zato» lists")),
        ("from zato.nothing import x",
         "zato.nothing is a part of Zato, not in zato-lite; use what the page «From Zato» lists"),
        ("import httplib", "httplib is a module of Python 2; use http.client"),
    ],
)  # fmt: skip
def test_an_import_that_fails_says_what_to_use(tmp_path: Path, line: str, sentence: str) -> None:
    (found,) = mistakes(tmp_path, f"import os\n{line}\n" + service("pass"))

    line_of_file, kind, rest = found.split(": ", 2)
    assert kind in {"ImportError", "ModuleNotFoundError"}
    assert (line_of_file, rest) == ("line 2", sentence)


def test_other_errors_of_imports_are_as_they_were(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "import no_such_module_at_all\n") == [
        "line 1: ModuleNotFoundError: No module named 'no_such_module_at_all'"
    ]
    assert mistakes(tmp_path, "from os import nothing_like_it\n")[0].startswith(
        "line 1: ImportError: cannot import name 'nothing_like_it' from 'os'"
    )


GOOD = '''
from bunch import Bunch, bunchify
from anyjson import dumps, loads
from zato.common import CHANNEL, DATA_FORMAT, KVDB, SMTPMessage, ZatoException
from zato.common.exception import RuntimeInvocationError, TimeoutException
from zato.common.ext.bunch import Bunch as Same
from zato.common.typing_ import date, datetime, listtuple, strfloatdict
from zato.common.util.api import asbool, new_cid
from zato.server.connection.http_soap import BadRequest
from zato.server.service import Boolean, Bunch, Service, ZatoException
from zato.server.service.internal.helpers import Service as Other

assert Bunch is Same and Service is Other

counter = 0


class Old(Service):
    """Its own attributes hide those that are not offered."""

    rules = {"a": 1}
    schema = {"type": "object"}

    def handle(self):
        global counter, later
        counter += 1
        later = __file__
        self.msg = Bunch(a=1)
        self.msg.a = self.rules["a"]
        value = self.request.payload["x"]
        value = self.other
        value.text.text
        conn: NotImported = 1
        self.invoke("zato.ping")
        self.invoke("some.other")
        "x".encode("utf-8")
        return [later, new_cid(), [each for each in range(3)], lambda x: x]
'''


def test_a_file_that_uses_what_is_offered_has_no_remark(tmp_path: Path) -> None:
    assert mistakes(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (("\ufeff" + HEAD).encode(), []),
        (b"# -*- coding: latin-1 -*-\n" + HEAD.encode() + b"name = '\xe9'\n", []),
        (("\ufeff" + service("nothing()")).encode(), ["line 5: nothing is not defined"]),
    ],
)
def test_a_file_is_read_in_the_encoding_that_it_states(
    tmp_path: Path, data: bytes, expected: list[str]
) -> None:
    body = b"" if b"class" in data else b"class Old(Service):\n    def handle(self): ...\n"

    assert mistakes(tmp_path, data + body) == expected


def test_a_declaration_that_is_not_read_is_named(tmp_path: Path) -> None:
    text = HEAD + "class Old(Service):\n    schema = 'a.json'\n    def handle(self): ...\n"

    assert mistakes(tmp_path, text) == [
        "line 3: Old: schema = 'a.json' is a JSON Schema file, not in zato-lite; declare input"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "from zato_lite import Servicee\n",
            "line 1: ImportError: zato_lite has no 'Servicee'; did you mean 'Service'?",
        ),
        ("from zato_lite import qqq\n", "line 1: ImportError: zato_lite has no 'qqq'"),
        (
            "from zato_lite.errors import FieldErr\n",
            "line 1: ImportError: zato_lite.errors has no 'FieldErr'; did you mean 'FieldError'?",
        ),
        (
            "class Old(Service): ...\n",
            (
                "line 1: NameError: name 'Service' is not defined; "
                "import it: from zato_lite import Service"
            ),
        ),
        ("class Old:\n    x = List\n", "line 2: NameError: name 'List' is not defined"),
    ],
)
def test_a_name_of_zato_lite_that_is_not_imported_or_misspelled_is_proposed(
    tmp_path: Path, text: str, expected: str
) -> None:
    assert mistakes(tmp_path, text) == [expected]


def test_each_sentence_says_what_to_use_instead() -> None:
    for words in (*ATTRIBUTES.values(), *PATHS.values(), *NAMES.values()):
        assert all(words)
    assert of_module("lxml") == of_name("os", "x") == ""


def test_the_pages_that_sentences_name_exist() -> None:
    said = str((ATTRIBUTES, PATHS, NAMES, MODULES))
    pages = {*re.findall(r"docs/[a-z-]+\.md", said)}

    assert pages
    for page in pages:
        assert (Path(__file__).parents[2] / page).exists(), page
