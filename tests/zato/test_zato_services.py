"""Services written for Zato run unchanged."""

import ast
import importlib
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.deployed import Deployed, deployed
from tests.zato.modules import imports_undone
from zato_lite.errors import BadInputError, NotOfferedError, ZatoLiteError
from zato_lite.http.responses import status_of
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import HttpContext, Invocation, JobContext, Outcome
from zato_lite.service.needs import AsyncInvocations
from zato_lite.service.payload import payload_of, plain
from zato_lite.service.registry import Registry
from zato_lite.timetable.job import Job
from zato_lite.zato import typing_
from zato_lite.zato.finder import ZatoFinder, install, uninstall
from zato_lite.zato.names import MODULES

FOLDER = Path(__file__).parent / "services"

created: list[dict[str, Any]] = []


class Create(Service):
    """Keeps what it is asked for, where the scheduler would make a job of it."""

    name = "zato.scheduler.job.create"

    async def handle(self) -> None:
        created.append(self.request.payload)
        self.response.payload = {"id": len(created), "name": self.request.payload["name"]}


class Kept:
    """Keeps invocations for later where tests can look at them."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def invoke_async(self, job: Job, cid: str = "") -> int:
        self.jobs.append(job)
        return len(self.jobs)


@pytest.fixture(scope="module")
def discovery() -> Iterator[Deployed]:
    with imports_undone():
        install()
        install()
        assert sum(isinstance(finder, ZatoFinder) for finder in sys.meta_path) == 1
        yield deployed(FOLDER)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def invoker(discovery: Deployed, kept: Kept) -> Invoker:
    registry = Registry()
    registry.add(Create)
    for found in discovery.services:
        registry.add(found.cls, source=found.source)
    created.clear()
    return Invoker(
        registry, resources={AsyncInvocations: kept}, config={"crm": {"url": "http://crm"}}
    )


async def run(invoker: Invoker, service: str, payload: Any = None, **more: Any) -> Outcome:
    return await invoker.run(Invocation(service, payload, **more))


async def test_all_files_are_served(discovery: Deployed, invoker: Invoker) -> None:
    assert discovery.failures == []
    assert {"receiver.my-service", "scheduler-demo.scheduler", "hourly.my-service"} <= {
        *invoker.registry.names()
    }
    assert "base-demo.skipped" not in invoker.registry
    assert "base-demo._base" not in invoker.registry


async def test_the_first_sample_logs_the_message(
    invoker: Invoker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    outcome = await run(invoker, "receiver.my-service", {"a": 1}, raw='{"a": 1}')

    assert outcome.error is None
    assert 'Message received: {"a": 1}' in caplog.messages
    assert caplog.records[-1].name == "receiver.my-service"


async def test_the_second_sample_schedules_its_target(
    invoker: Invoker, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = await run(invoker, "scheduler-demo.scheduler")
    assert outcome.error is None
    job = created[0]
    assert job["service"] == "scheduler-demo.my-target"
    assert job["start_date"] == "2027-07-29 11:35:49"
    assert job["name"].startswith("user@example.com scheduler-demo.scheduler -> ")

    await run(invoker, job["service"], payload_of(job["extra"]), raw=job["extra"])

    assert caplog.messages[-1] == "I was invoked with {'my.key': 'my.value'}"
    assert caplog.records[-1].levelname == "WARNING"
    assert caplog.records[-1].filename == "scheduler_demo.py"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_third_sample_schedules_a_ping(invoker: Invoker) -> None:
    outcome = await run(invoker, "hourly.my-service")

    assert outcome.error is None
    assert created[0]["cluster_id"] == 1
    assert created[0]["cron_definition"] == "@hourly"


async def test_models_describe_input_and_output(invoker: Invoker) -> None:
    outcome = await run(invoker, "models-demo.get-phone-list", {"client_id": 7})
    wrong = await run(invoker, "models-demo.get-phone-list", {"client_id": "x", "tags": [1]})

    assert plain(outcome.payload) == {
        "phone_list": [{"imei": "123", "owner": "John Doe"}],
        "total": 1,
    }
    assert isinstance(wrong.error, BadInputError)
    assert [error.field for error in wrong.error.errors] == ["client_id", "tags[0]"]


async def test_elements_describe_input_and_output(invoker: Invoker) -> None:
    payload = {"name": "Ann", "age": "41", "is_active": "yes"}
    outcome = await run(invoker, "elements-demo.create-customer", payload)

    assert outcome.payload == {"customer_id": 42, "name": "ANN", "limit": 10.5}


async def test_simple_io_lists(invoker: Invoker) -> None:
    outcome = await run(invoker, "simple-io-demo.get-list", {"company_id": 5})

    assert outcome.payload == [
        {"user_id": 1, "user_name": "ann", "is_admin": True},
        {"user_id": 2, "user_name": "bob-5", "is_admin": None},
    ]


async def test_hooks_are_called(invoker: Invoker) -> None:
    outcome = await run(invoker, "hooks-demo.my-service", {})
    refused = await run(invoker, "hooks-demo.my-service", {"forbidden": 1})

    assert outcome.payload == {"steps": ["before", "handle"]}
    assert isinstance(refused.error, BadInputError)
    assert str(refused.error) == "That is forbidden"


async def test_hooks_of_jobs_are_called(invoker: Invoker, job: JobContext) -> None:
    outcome = await run(invoker, "job-hooks-demo.my-service", job=job, channel="scheduler")

    assert outcome.payload == [
        "before_job",
        "interval_based",
        "before_interval_based_job",
        "scheduler",
    ]


async def test_services_invoke_each_other(invoker: Invoker) -> None:
    by_name = await run(invoker, "invoke-demo.by-name", cid="c1")
    by_class = await run(invoker, "invoke-demo.by-class", cid="c1")
    caught = await run(invoker, "invoke-demo.catches-errors")
    in_async = await run(invoker, "async-zato.my-service", cid="c1")

    assert by_name.payload == {"got": {"my": "request"}, "cid": "c1"}
    assert by_class.payload == by_name.payload
    assert caught.payload == "Caught: Service `no.such.service` does not exist"
    assert in_async.payload == {"got": 1, "cid": "c1"}


async def test_an_asynchronous_invocation_is_saved(invoker: Invoker, kept: Kept) -> None:
    outcome = await run(invoker, "async-demo.my-service")

    assert outcome.payload == 1
    assert kept.jobs[0].service == "async-demo.later"


async def test_services_run_in_parallel_and_again(invoker: Invoker) -> None:
    outcome = await run(invoker, "parallel-demo.my-service")
    again = await run(invoker, "parallel-demo.retry")

    assert outcome.payload == {"parallel-demo.crm": {"crm": 1}, "parallel-demo.erp": {"erp": 2}}
    assert invoker.cache.get("merged") == 2
    assert again.payload == {"crm": 3}


async def test_http_methods_have_their_handlers(invoker: Invoker) -> None:
    http = HttpContext("GET", "/c", {"id": "7"}, {"page": "2"}, {"user-agent": "curl"})
    got = await run(invoker, "http-demo.customer", http=http)
    posted = await run(
        invoker,
        "http-demo.customer",
        {"a": 1},
        raw='{"a":1}',
        http=HttpContext("POST", "/c", {}, {}, {}),
    )

    assert got.payload == {"id": "7", "page": "2", "agent": "curl"}
    assert posted.payload == '{"a":1}'
    assert posted.overrides is not None
    assert posted.overrides.status_code == 201
    assert posted.overrides.sent_headers == {"Location": "/customer/1"}


@pytest.mark.parametrize(
    ("kind", "status"),
    [("conflict", 409), ("forbidden", 403), ("not-found", 404), ("too-many", 429), ("other", 500)],
)
async def test_zato_s_exceptions_have_http_statuses(
    invoker: Invoker, kind: str, status: int
) -> None:
    outcome = await run(invoker, "errors-demo.raise", {"kind": kind})

    assert isinstance(outcome.error, ZatoLiteError)
    assert (outcome.error.status, str(outcome.error)) == (status, "My message")


async def test_the_attributes_of_self_exist(invoker: Invoker) -> None:
    outcome = await run(invoker, "tools-demo.my-service")

    assert outcome.payload["cached"] == {"a": 1}
    assert outcome.payload["url"] == "http://crm"
    assert outcome.payload["name"] == "tools-demo.my-service"


async def test_a_base_class_may_hold_the_handle(invoker: Invoker) -> None:
    outcome = await run(invoker, "base-demo.hello")

    assert (outcome.payload, status_of(outcome)) == ("Hello", 200)


async def test_zato_s_attributes_of_self_exist(
    invoker: Invoker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    http = HttpContext("PUT", "/a", {}, {}, {"x-a": "1"})

    outcome = await run(invoker, "surface-demo.attributes", {"a": 1}, http=http)

    assert outcome.payload == {
        "impl_name": "surface_demo.Attributes",
        "in_reply_to": None,
        "environ": True,
        "usage": 1,
        "is_naive": True,
        "is_invoke": True,
        "result": True,
        "job_type": "cron_style",
        "method": "PUT",
    }
    assert "Received {'a': 1}" in caplog.messages


@pytest.mark.parametrize(
    "name",
    ["odb", "sso", "security", "pubsub", "ftp", "soap", "publish", "metrics", "commands"],
)  # fmt: skip
async def test_reading_an_attribute_that_is_not_offered_raises_an_error_with_its_name(
    invoker: Invoker, name: str
) -> None:
    outcome = await run(invoker, "surface-demo.not-there", {"name": name})

    assert isinstance(outcome.error, NotOfferedError)
    assert f"self.{name} is Zato's" in str(outcome.error)
    assert "not in zato-lite" in str(outcome.error)


class Sleeps(Service):
    name = "demo-sleeps"

    async def handle(self) -> None:
        await self.sleep(60)


def test_an_attribute_that_is_not_offered_is_none_on_the_class(invoker: Invoker) -> None:
    declared = {getattr(entry.cls, "rest", None) for entry in invoker.registry}

    assert declared == {None, "GET /http-demo/{id}"}


async def test_zato_s_options_are_not_part_of_the_payload(invoker: Invoker) -> None:
    entry = invoker.registry.get("surface-demo.answers")
    invoker.registry.add(Sleeps)

    outcome = await run(invoker, "surface-demo.options", {"service_id": entry.id})
    unknown = await run(invoker, "surface-demo.options", {"service_id": 1})

    assert outcome.error is None
    assert outcome.payload == {
        "plain": {"a": 1},
        "kwargs": {"b": 2},
        "bunch": 3,
        "json": '{"e":4}',
        "unwrapped": {"a": {"b": 1}},
        "late": None,
        "by_id": {"f": 5},
        "new": "surface-demo.answers",
        "falsy": '{"response":{"a":{"b":1}}}',
    }
    assert str(unknown.error) == "No service has the id 1"


async def test_functions_run_in_other_threads(
    invoker: Invoker, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = await run(invoker, "surface-demo.threads")

    assert outcome.payload == [3, True, 3, 7, None]
    assert "spawned function failed" in caplog.messages


async def test_the_default_callback_is_found_by_zato_s_rule(invoker: Invoker, kept: Kept) -> None:
    outcome = await run(invoker, "surface-demo.calls-back")
    many = await run(invoker, "surface-demo.calls-back-many")

    assert outcome.error is None
    assert [job.on_success_service for job in kept.jobs] == [
        "surface-demo.calls-back-async-callback",
        "surface-demo.options",
        "surface-demo.calls-back",
    ]
    assert isinstance(many.error, NotOfferedError)
    assert str(many.error) == "zato-lite supports one callback per run; let it invoke the others"


async def test_fields_of_a_form_are_in_http_post(invoker: Invoker) -> None:
    kind = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    form = HttpContext("POST", "/f", {}, {"b": "2"}, kind)
    other = HttpContext("POST", "/f", {}, {"b": "2"}, {"content-type": "application/json"})

    posted = await run(invoker, "surface-demo.form", {"a": "1"}, http=form)
    sent = await run(invoker, "surface-demo.form", {"a": "1"}, http=other)

    assert posted.payload == {"post": "1", "get": "2"}
    assert sent.payload == {"post": "", "get": "2"}


async def test_a_start_date_may_be_in_words(invoker: Invoker) -> None:
    outcome = await run(invoker, "surface-demo.in-words")

    assert outcome.error is None
    assert created[0]["start_date"] == "2027-07-29T11:35:00+00:00"


async def test_models_are_answered_in_lists_and_part_by_part(invoker: Invoker) -> None:
    wanted = {"names": ["ann", "bob"], "options": {}}
    listed = await run(invoker, "model-lists-demo.get-list", wanted)
    repeated = await run(invoker, "model-lists-demo.get-repeated")
    one = await run(invoker, "model-lists-demo.get-one")

    assert [user["name"] for user in plain(listed.payload)] == ["ann", "bob"]
    assert plain(repeated.payload)[0]["age"] == 41
    assert (plain(one.payload)["name"], plain(one.payload)["tags"]) == ("bob", ["a"])


@pytest.mark.e2e
def test_a_user_s_file_may_be_named_zato(tmp_path: Path) -> None:
    text = (FOLDER / "receiver.py").read_text()
    (tmp_path / "zato.py").write_text(text)
    (tmp_path / "api.py").write_text(text)
    code = """
import asyncio, pathlib, sys
from zato_lite.deploy.deployer import Deployer
from zato_lite.service.registry import Registry
from zato_lite.zato.finder import install
install()
registry = Registry()
deployer = Deployer(registry, pathlib.Path(sys.argv[1]))
asyncio.run(deployer.deploy())
print([*deployer.failures], [entry.name for entry in registry])
"""

    done = subprocess.run(  # noqa: S603 - our own text
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, check=True, text=True
    )

    assert done.stdout.strip() == "[] ['api.my-service', 'zato.my-service']"


@pytest.mark.parametrize("module", MODULES)
def test_the_stubs_declare_exactly_the_names_of_each_module(module: str) -> None:
    place = Path(__file__).parents[2].joinpath("zato-stubs", *module.split(".")[1:])
    stub = place / "__init__.pyi" if place.is_dir() else place.with_suffix(".pyi")
    imported: dict[str, Any] = {}
    known: dict[str, Any] = {}
    for line in ast.parse(stub.read_text()).body:
        match line:
            case ast.ImportFrom(module=str(home), names=names):
                source = importlib.import_module(home)
                if names[0].name == "*":
                    known |= {name: getattr(source, name) for name in source.__all__}
                else:
                    imported |= {name.name: getattr(source, name.name) for name in names}
                    known |= {n.asname: imported[n.name] for n in names if n.asname}
            case ast.Assign(targets=[ast.Name(id=alias)], value=ast.Name(id=name)):
                known[alias] = imported[name]
            case other:
                pytest.fail(f"unexpected: {ast.dump(other)}")

    assert known == MODULES[module]


def test_types_can_be_examined_and_created_from_dictionaries() -> None:
    assert typing_.is_union(typing_.strnone)
    assert typing_.is_union(typing_.union_[int, str])
    assert not typing_.is_union(int)
    assert typing_.extract_from_union(typing_.union_[int, str]) == ((int, str), int, str)
    point = typing_.make_dataclass("Point", [("x", int)])
    assert typing_.from_dict(point, {"x": 1}) == point(1)
    assert typing_.instance_from_dict(Kept, {"x": 1}).x == 1
    assert typing_.dict_field().default_factory is dict


def test_an_unknown_module_of_zato_is_not_found(discovery: Deployed) -> None:
    with pytest.raises(ModuleNotFoundError):
        __import__("zato.nothing_of_the_kind")


def test_an_installed_zato_takes_precedence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "zato"
    package.mkdir()
    (package / "__init__.py").write_text("IS_REAL = True")
    uninstall()
    monkeypatch.syspath_prepend(str(tmp_path))

    install()
    try:
        assert __import__("zato").IS_REAL
        with pytest.raises(ModuleNotFoundError):
            __import__("zato.server.service")
    finally:
        sys.modules.pop("zato", None)
        uninstall()


def test_the_sample_services_are_served(discovery: Deployed) -> None:
    install()
    found = deployed(Path(__file__).parents[2] / "services")

    assert found.failures == []
    assert found.names == [
        "cron-demo.my-service",
        "hello.hello",
        "message-receiver.my-service",
        "scheduler-demo.my-target",
        "scheduler-demo.scheduler",
    ]
