"""What services written for Zato use of ``self``, one test for each kind."""

import logging
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from zato_lite.errors import BadInputError, ConfigError, NotOfferedError
from zato_lite.http.responses import response_of
from zato_lite.service.message import Caller, HttpContext, Invocation, Outcome
from zato_lite.service.registry import Registry
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.zato.bunch import Bunch, bunchify, unbunchify
from zato_lite.zato.elements import Int
from zato_lite.zato.exceptions import (
    BackendInvocationError,
    ClientHTTPError,
    ConnectorClosedException,
    IBMMQException,
    NoDistributionFound,
    StatusAwareException,
    TimeoutException,
    Unauthorized,
)
from zato_lite.zato.model import Model
from zato_lite.zato.request import wsgi_environ
from zato_lite.zato.service import Service
from zato_lite.zato.typing_ import dataclass
from zato_lite.zato.util import asbool, new_cid, utcnow

API = "/zato/api/invoke/x"


def http(path: str = API, **more: Any) -> HttpContext:
    fields: dict[str, Any] = {"params": {}, "query": {}, "headers": {}, **more}
    return HttpContext("POST", path, fields["params"], fields["query"], fields["headers"])


async def run(it: Sandbox, service: type[Service], payload: Any = None, **more: Any) -> Outcome:
    return await it.app.invoker.run(Invocation(service.get_name(), payload, **more))


async def answer(cls: type[Service], payload: Any = None, **more: Any) -> Any:
    async with sandbox(cls) as it:
        outcome = await run(it, cls, payload, **more)
    if outcome.error is not None:
        raise outcome.error
    return outcome.payload


# 1. raw_request of invocations by name


@pytest.mark.parametrize(
    ("path", "expected"),
    [(API, 5), ("/zato/json/x", 5), ("/orders", b'{"a": 5}')],
)
async def test_raw_request_of_an_invocation_by_name_is_the_message_as_values(
    path: str, expected: Any
) -> None:
    class Raw(Service):
        name = "raw"

        def handle(self) -> None:
            raw = self.request.raw_request
            self.response.payload = {"is": raw["a"] if isinstance(raw, dict) else raw}
            assert self.request.raw == self.request.text == raw

    got = await answer(Raw, {"a": 5}, raw=b'{"a": 5}', http=http(path))

    assert got == {"is": expected}


async def test_raw_request_of_an_inner_invocation_is_the_message() -> None:
    class Inner(Service):
        name = "inner"

        def handle(self) -> None:
            self.response.payload = self.request.raw_request["a"]

    class Outer(Service):
        name = "outer"

        def handle(self) -> None:
            self.response.payload = self.invoke("inner", {"a": 1})

    async with sandbox(Inner, Outer) as it:
        assert await it.invoke(Outer) == 1


# 3, 4. None, texts and nothing as answers


async def test_an_element_of_the_output_may_be_none() -> None:
    class Nothing(Service):
        name = "nothing"
        output = "a", "-b"

        def handle(self) -> None:
            self.response.payload.a = None

    assert await answer(Nothing) == {"a": None, "b": None}


async def test_a_key_that_is_missing_is_an_error_of_the_output() -> None:
    class Missing(Service):
        name = "missing"
        output = "a", "-b"

        def handle(self) -> None:
            self.response.payload.b = 1

    with pytest.raises(Exception, match="Missing required output element: a"):
        await answer(Missing)


async def test_a_row_of_a_database_may_have_nulls() -> None:
    class Row:
        a = None

    class Rows(Service):
        name = "rows"
        output = "a", "-b"

        def handle(self) -> None:
            self.response.payload = [Row(), {"a": 1}]

    assert await answer(Rows) == [{"a": None, "b": None}, {"a": 1, "b": None}]


@dataclass(init=False)
class User(Model):
    name: str


@pytest.mark.parametrize("declared", [("a", "b"), User])
async def test_a_text_is_an_answer_that_was_made_elsewhere(declared: Any) -> None:
    class Text(Service):
        name = "text"
        output = declared

        def handle(self) -> None:
            self.response.payload = '{"a":1}'

    class Unset(Service):
        name = "unset"
        output = declared

        def handle(self) -> None:
            pass

    assert await answer(Text) == '{"a":1}'
    assert await answer(Unset) is None
    assert response_of(Outcome("K1", await answer(Unset))).body == b"{}"


# 5. class IO


async def test_the_declarations_of_class_io_are_read() -> None:
    class ByElements(Service):
        name = "elements"

        class IO:
            input = "a", Int("b")
            output = "c"

        def handle(self) -> None:
            self.response.payload.c = self.request.input.b

    @dataclass(init=False)
    class Ask(Model):
        number: int

    class ByModel(Service):
        name = "model"

        class IO:
            input = Ask
            output = User

        def handle(self) -> None:
            user = User()
            user.name = str(self.request.input.number)
            self.response.payload = user

    assert await answer(ByElements, {"a": 1, "b": "2"}) == {"c": 2}
    with pytest.raises(BadInputError, match="Missing required input element: a"):
        await answer(ByElements, {"b": 1})
    assert (await answer(ByModel, {"number": 7})).name == "7"
    with pytest.raises(BadInputError, match="number"):
        await answer(ByModel, {"number": "x"})


# 9. response_elem and skip_empty_keys


class Wrapped(Service):
    name = "wrapped"

    class SimpleIO:
        output_required = "a"
        output_optional = "b", "c", "d"
        response_elem = "found"
        skip_empty_keys = True
        force_empty_keys = "c"

    def handle(self) -> None:
        self.response.payload = {"a": 1, "b": "", "d": 0}


async def test_an_answer_is_below_its_response_elem_and_empty_keys_are_skipped() -> None:
    class Asks(Service):
        name = "asks"

        def handle(self) -> None:
            self.response.payload = [
                self.invoke("wrapped")["found"]["a"],
                self.invoke("wrapped", as_bunch=True).found.a,
                self.invoke("wrapped", skip_response_elem=True),
            ]

    assert await answer(Wrapped) == {"found": {"a": 1, "c": None, "d": 0}}
    registry = Registry()
    registry.add(Wrapped)
    output: Any = registry.get("wrapped").output
    schema = output.json_schema()
    assert [*schema["properties"]] == ["found"]
    async with sandbox(Wrapped, Asks) as it:
        assert await it.invoke(Asks) == [1, 1, {"a": 1, "c": None, "d": 0}]


async def test_only_optional_elements_are_skipped() -> None:
    class Skips(Service):
        name = "skips"

        class SimpleIO:
            output_required = "a"
            output_optional = "b"
            skip_empty_keys = "a", "b", "no_element"

        def handle(self) -> None:
            self.response.payload = {"a": ""}

    assert await answer(Skips) == {"a": ""}


async def test_an_answer_as_a_bunch_has_a_bunch_s_methods_and_errors() -> None:
    class Asks(Service):
        name = "asks"

        def handle(self) -> None:
            found = self.invoke("wrapped", as_bunch=True)
            assert type(found.toDict()["found"]) is dict
            with pytest.raises(AttributeError, match="unknown key 'nothing'"):
                _ = found.found.nothing
            self.response.payload = found.toJSON()

    async with sandbox(Wrapped, Asks) as it:
        assert await it.invoke(Asks) == '{"found": {"a": 1, "c": null, "d": 0}}'


def test_what_is_not_done_of_a_declaration_is_refused() -> None:
    class Skips(Service):
        name = "skips"

        class SimpleIO:
            output = "a", "-b"

            class SkipEmpty:
                output = "b"

        def handle(self) -> None: ...

    class Elem(Service):
        name = "elem"

        class SimpleIO:
            output = User
            response_elem = "x"

        def handle(self) -> None: ...

    for cls, text in ((Skips, "skip_empty_keys"), (Elem, "response_elem needs elements")):
        with pytest.raises(ConfigError, match=text):
            Registry().add(cls)


# 13. payloads without a declaration


async def test_a_payload_is_set_at_any_depth_without_a_declaration() -> None:
    class Free(Service):
        name = "free"

        def handle(self) -> None:
            payload = self.response.payload
            assert not payload
            payload.order.details.total = 123
            payload.order.lines = [{"a": 1}]
            payload.value = None
            assert not payload.never.set
            assert payload.order.details.total == 123
            assert repr(payload)[0] == "{"

    class Below(Service):
        name = "below"
        output = "order"

        def handle(self) -> None:
            self.response.payload.order.x = 1

    class Rows(Service):
        name = "rows"

        def handle(self) -> None:
            self.response.payload.append({"a": 1})
            self.response.payload.extend([{"a": 2}])

    class Returns(Service):
        name = "returns"

        def handle(self) -> Any:
            return 7

    assert await answer(Free) == {
        "order": {"details": {"total": 123}, "lines": [{"a": 1}]},
        "value": None,
    }
    assert await answer(Below) == {"order": {"x": 1}}
    assert await answer(Rows) == [{"a": 1}, {"a": 2}]
    assert await answer(Returns) == 7


# 7, 11. the request, the caller, WSGI, times


class Looks(Service):
    name = "looks"

    def handle(self) -> None:
        security = self.channel.security
        self.response.headers = {"X-Own": "1"}
        self.response.payload = {
            "cid": [self.request.cid, self.cid],
            "form": self.request.http.get_form_data(),
            "user": security.username,
            "security": security.to_dict(),
            "id": [security.id, security.type, self.channel.sec.name],
            "query": self.wsgi_environ["QUERY_STRING"],
            "environ": {
                name: self.wsgi_environ[name]
                for name in ("SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme", "zato.http.GET")
            },
            "format": [self.data_format, self.transport],
            "pid": self.server.pid,
            "config": self.server.user_config is self.server.config,
        }


async def test_what_the_pages_on_requests_show_is_there() -> None:
    headers = {"host": "crm:8080", "content-type": "application/x-www-form-urlencoded"}
    seen = http(query={"a": ["1", "2"], "b": "c d"}, headers=headers)
    caller = Caller("ann", frozenset({"operator"}))

    got = await answer(Looks, {"x": "1"}, http=seen, caller=caller, cid="K7")

    assert got == {
        "cid": ["K7", "K7"],
        "form": {"x": "1"},
        "user": "ann",
        "security": {"id": "user:ann", "name": "ann", "type": "basic_auth", "username": "ann"},
        "id": ["user:ann", "basic_auth", "ann"],
        "query": "a=1&a=2&b=c+d",
        "environ": {
            "SERVER_NAME": "crm",
            "SERVER_PORT": "8080",
            "wsgi.url_scheme": "http",
            "zato.http.GET": {"a": ["1", "2"], "b": "c d"},
        },
        "format": ["json", "plain_http"],
        "pid": os.getpid(),
        "config": True,
    }


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("[::1]:8080", ("[::1]", "8080")),
        ("[2001:db8::7]", ("[2001:db8::7]", "80")),
        ("127.0.0.1:17010", ("127.0.0.1", "17010")),
        ("crm", ("crm", "80")),
        ("", ("", "80")),
    ],
)
def test_the_wsgi_environment_has_the_host_and_its_port(
    host: str, expected: tuple[str, str]
) -> None:
    environ = wsgi_environ(http(headers={"host": host}))

    assert (environ["SERVER_NAME"], environ["SERVER_PORT"]) == expected


def test_a_field_with_an_underscore_is_not_taken_for_another_one() -> None:
    sent = {"x-user": "ann", "x_user": "admin", "x_other": "1"}

    environ = wsgi_environ(http(headers=sent))

    assert environ["HTTP_X_USER"] == "ann"
    assert "HTTP_X_OTHER" not in environ


async def test_an_inner_service_has_the_cid_in_its_request_and_no_transport() -> None:
    class Inner(Service):
        name = "inner"

        def handle(self) -> None:
            self.response.payload = [self.request.cid, self.transport, self.wsgi_environ]

    class Outer(Service):
        name = "outer"

        def handle(self) -> None:
            self.response.payload = self.invoke(Inner)

    async with sandbox(Inner, Outer) as it:
        outcome = await run(it, Outer, cid="K8")

    assert outcome.payload == ["K8", "", {}]


async def test_the_time_of_processing_is_known_at_the_end() -> None:
    seen: list[Any] = []

    class Timed(Service):
        name = "timed"

        def handle(self) -> None:
            self.response.payload.a = 1

        def finalize_handle(self) -> None:
            seen.extend([self.processing_time, self.processing_time_raw, self.handle_return_time])
            self.log_output("Answer:", logging.WARNING, ["name"])
            assert self.slow_threshold > 1_000_000

    await answer(Timed)

    assert 0 <= seen[0] < 60_000
    assert timedelta() <= seen[1] < timedelta(minutes=1)
    assert seen[2].tzinfo is None


class Times(Service):
    name = "times"

    def handle(self) -> None:
        time = self.time
        now = time.utcnow(needs_format=False)
        assert isinstance(now, datetime)
        midnight = time.today(needs_format=False, tz="Pacific/Fiji")
        self.response.payload = {
            "utcnow": time.utcnow("DD-MM-YY HH:mm"),
            "today": [time.today("DDMMYY"), time.today(tz="Pacific/Fiji"), midnight.hour],
            "other": [time.yesterday(), time.tomorrow("DD", needs_format=True)],
            "iso": [time.isonow(), time.isoutcnow(), time.isonow(needs_format=False) == now],
            "float": time.utcnow_as_float(),
            "later": [
                time.one_hour_from("2026-01-01T10:00:00", "HH:mm"),
                time.one_minute_from(now, needs_format=False) - now,
                time.one_day_from(now.date()),
            ],
            "reformat": [
                time.reformat("15-11-2019", "DD-MM-YYYY", "YY.MM.DD"),
                time.reformat(datetime(2019, 11, 15, tzinfo=UTC), "", "YYYY"),
            ],
        }


async def test_times_have_zato_s_helpers() -> None:
    async with sandbox(Times) as it:
        now = it.app.invoker.now()
        got = (await run(it, Times)).payload

    fiji = now + timedelta(hours=12)
    assert got == {
        "utcnow": f"{now:%d-%m-%y %H:%M}",
        "today": [f"{now:%d%m%y}", f"{fiji:%Y-%m-%d}", 0],
        "other": [f"{now - timedelta(days=1):%Y-%m-%d}", f"{now + timedelta(days=1):%d}"],
        "iso": [f"{now:%Y-%m-%dT%H:%M:%S.%f}"] * 2 + [True],
        "float": now.timestamp(),
        "later": ["11:00", timedelta(minutes=1), f"{now + timedelta(days=1):%Y-%m-%d}"],
        "reformat": ["19.11.15", "2019"],
    }


async def test_a_log_line_may_have_its_own_cid(caplog: pytest.LogCaptureFixture) -> None:
    class Logs(Service):
        name = "logs"

        def handle(self) -> None:
            self.logger.warning("Hello!", cid="K-own")
            self.logger.warning("Hello again!", extra={"a": 1})

    await answer(Logs)

    records = [record for record in caplog.records if record.name == "logs"]
    assert getattr(records[0], "cid", "") == "K-own"
    assert getattr(records[1], "a", None) == 1


async def test_messages_are_logged_at_a_level_unless_they_are_suppressed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Logs(Service):
        name = "logs"

        def handle(self) -> None:
            self.response.payload.b = 2
            self.log_input("In", logging.WARNING)
            self.log_input("In", logging.WARNING, ["request.payload"])
            self.log_output("Out", logging.WARNING, None)
            self.log_output("Out", logging.WARNING, ["response.payload"])

    await answer(Logs, {"a": 1})

    assert [record.getMessage() for record in caplog.records if record.name == "logs"] == [
        "In {'a': 1}", "In (suppressed)", "Out {'b': 2}", "Out (suppressed)",
    ]  # fmt: skip


# invoke


async def test_json_is_parsed_for_a_service_that_is_given_it_as_such() -> None:
    class Gets(Service):
        name = "gets"

        def handle(self) -> None:
            self.response.payload = self.request.payload["a"]

    class Sends(Service):
        name = "sends"

        def handle(self) -> None:
            self.response.payload = self.invoke("gets", '{"a": 1}', data_format="json")
            self.invoke_async("gets", '{"a": 2}', data_format="json")
            _ = self.server.invoke_async("gets", {"a": 3})

    async with sandbox(Gets, Sends) as it:
        assert await it.invoke(Sends) == 1
        await it.settle()
        assert it.app.registry.get("gets").calls == 3
        assert it.app.registry.get("gets").errors == 0


async def test_what_is_not_offered_is_an_attribute_error_with_its_sentence() -> None:
    class Asks(Service):
        name = "asks"

        def handle(self) -> None:
            assert not hasattr(self, "cassandra_conn")
            getattr(self, "ftp").get("x")  # noqa: B009 - type checkers know that it is not there

    class Own(Service):
        name = "own"

        def handle(self) -> None:
            self.msg = "mine"
            self.response.payload = self.msg

    with pytest.raises(NotOfferedError, match=r"self\.ftp is Zato's FTP connections, not in zato"):
        await answer(Asks)
    assert await answer(Own) == "mine"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("out.ftp", "self.out.ftp is Zato's FTP"),
        ("outgoing.zmq", "self.out.zmq is Zato's ZeroMQ"),
        ("email.imap", "self.email.imap is Zato's IMAP"),
        ("kvdb.lua_container", "self.kvdb.lua_container is Zato's Lua"),
        ("server.service_store", "self.server.service_store is Zato's store"),
    ],
)
async def test_the_same_holds_below_an_attribute(path: str, words: str) -> None:
    class Below(Service):
        name = "below"

        def handle(self) -> None:
            found: Any = self
            for name in path.split("."):
                found = getattr(found, name)

    class Unknown(Service):
        name = "unknown"

        def handle(self) -> None:
            _ = self.out.nothing_like_it

    with pytest.raises(NotOfferedError, match=words):
        await answer(Below)
    with pytest.raises(AttributeError, match=r"self\.out\.nothing_like_it does not exist"):
        await answer(Unknown)


# Libraries, exceptions, small functions


def test_a_bunch_is_a_dictionary_with_attributes() -> None:
    bunch = Bunch(a=1)
    bunch.b = Bunch()
    bunch.b.c = [{"d": 2}]
    items: Any = bunch.b.c
    made = bunchify({"a": ({"b": 1},), "c": [{"d": 2}]})

    assert bunch == {"a": 1, "b": {"c": [{"d": 2}]}}
    assert items is bunch.b.c
    assert items[0].d == 2
    assert bunch.toJSON(sort_keys=True) == '{"a": 1, "b": {"c": [{"d": 2}]}}'
    assert (made.a[0].b, made.c[0].d) == (1, 2)
    assert type(bunch.toDict()["b"]) is dict
    assert type(unbunchify(made)["c"][0]) is dict
    copy = Bunch.fromDict(bunch).copy()
    copy.b.c.append(1)
    assert len(bunch.b.c) == 1


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (StatusAwareException("K1", "gone", 410), 410, "gone"),
        (ClientHTTPError("K1", "teapot", 418), 418, "teapot"),
        (Unauthorized("K1", "who?", "challenge"), 401, "who?"),
        (BackendInvocationError("K1"), 502, "K1"),
        (TimeoutException("K1", "late"), 500, "An error has occurred"),
        (NoDistributionFound("/x"), 500, "An error has occurred"),
    ],
)
def test_an_error_has_the_status_that_it_was_given(
    error: Exception, status: int, text: str
) -> None:
    response = response_of(Outcome("K1", error=error))

    assert response.status == status
    assert f'"details":"{text}"'.encode() in response.body


def test_exceptions_that_nothing_raises_can_be_made() -> None:
    assert str(NoDistributionFound("/x")) == "no distribution in /x"
    assert str(ConnectorClosedException(ValueError(), "closed")) == "closed"
    assert str(IBMMQException("queue")) == "queue"
    assert StatusAwareException("K1", "gone", 410).reason == "Gone"


def test_small_functions() -> None:
    assert len({new_cid(), new_cid()}) == 2
    assert asbool("yes") is True
    assert utcnow().tzinfo is UTC
