from typing import Any

import pytest

from zato_lite.errors import BadInputError, MethodNotAllowedError
from zato_lite.service.base import Service
from zato_lite.service.entry import HOOKS
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import HttpContext, Invocation, JobContext, Outcome
from zato_lite.service.registry import Registry

called: list[str] = []


def recording(hook: str) -> Any:
    def record(self: Any) -> None:
        called.append(hook)

    return record


class Async(Service):
    name = "hooked"

    async def handle(self) -> str:
        called.append("handle")
        return "done"


class Blocking(Service):
    name = "hooked"

    def handle(self) -> str:
        called.append("handle")
        return "done"


async def run(cls: type[Service], **more: Any) -> Outcome:
    called.clear()
    registry = Registry()
    registry.add(cls)
    return await Invoker(registry).run(Invocation("hooked", **more))


@pytest.mark.parametrize("base", [Async, Blocking])
async def test_all_hooks_of_a_job_s_service_are_called_in_order(
    base: type[Service], job: JobContext
) -> None:
    cls = type("Hooked", (base,), {"name": "hooked", **{h: recording(h) for h in HOOKS}})

    outcome = await run(cls, job=job, channel="scheduler")

    assert outcome.payload == "done"
    assert called == [
        "accept",
        "before_job",
        "before_interval_based_job",
        "before_handle",
        "validate_input",
        "handle",
        "validate_output",
        "after_handle",
        "after_interval_based_job",
        "after_job",
        "finalize_handle",
    ]


async def test_hooks_of_jobs_are_not_called_for_others() -> None:
    cls = type("Hooked", (Async,), {"name": "hooked", **{h: recording(h) for h in HOOKS}})

    await run(cls)

    assert not [hook for hook in called if hook.endswith("job")]


async def test_hooks_may_be_async() -> None:
    class Hooked(Async):
        name = "hooked"

        async def before_handle(self) -> None:
            called.append("before")

    assert (await run(Hooked)).payload == "done"
    assert called == ["before", "handle"]


async def test_a_blocking_service_may_have_async_hooks() -> None:
    class Hooked(Blocking):
        name = "hooked"

        async def before_handle(self) -> None:
            called.append("before")

    assert (await run(Hooked)).payload == "done"
    assert called == ["before", "handle"]


@pytest.mark.parametrize("base", [Async, Blocking])
async def test_an_exception_in_a_hook_ends_the_invocation_and_finalize_is_called(
    base: type[Service],
) -> None:
    def refuse(self: Any) -> None:
        raise ValueError("no")

    more = {"validate_input": refuse, "finalize_handle": recording("finalize")}
    outcome = await run(type("Hooked", (base,), {"name": "hooked", **more}))

    assert str(outcome.error) == "no"
    assert called == ["finalize"]


async def test_accept_can_refuse() -> None:
    class Hooked(Async):
        name = "hooked"

        def accept(self) -> bool:
            return False

    outcome = await run(Hooked)

    assert isinstance(outcome.error, BadInputError)
    assert called == []


class Verbs(Service):
    name = "hooked"

    async def handle_GET(self) -> str:  # noqa: N802 - Zato's name
        return "got"


async def test_a_service_may_have_a_handler_for_each_http_method() -> None:
    got = await run(Verbs, http=HttpContext("GET", "/", {}, {}, {}))
    posted = await run(Verbs, http=HttpContext("POST", "/", {}, {}, {}))

    headed = await run(Verbs, http=HttpContext("HEAD", "/", {}, {}, {}))

    assert (got.payload, headed.payload) == ("got", "got")
    assert isinstance(posted.error, MethodNotAllowedError)
    assert posted.error.allow == ("GET", "HEAD")


async def test_other_methods_go_to_handle_if_there_is_one() -> None:
    class Both(Verbs):
        name = "hooked"

        async def handle(self) -> str:
            return "handled"

    posted = await run(Both, http=HttpContext("POST", "/", {}, {}, {}))

    assert posted.payload == "handled"
    assert (await run(Both)).payload == "handled"
