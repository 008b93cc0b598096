from typing import Any

import pytest

from zato_lite.builtin.definition import NAMES
from zato_lite.builtin.takes import TAKES
from zato_lite.errors import BadInputError, NotFoundError
from zato_lite.http.endpoints.examples import example_of
from zato_lite.testing.app import Sandbox

JOB = "zato.scheduler.job"
WITHOUT = {
    f"{JOB}.check-silent",
    f"{JOB}.export",
    "zato.scheduler.status",
    "zato.scheduler.resume",
    "zato.scheduler.calendar.get-list",
    "zato.security.user.get-list",
    "zato.security.key.get-list",
}
"""Services that read nothing of what they are sent."""


async def test_every_service_of_the_scheduler_and_of_security_says_what_it_takes(
    it: Sandbox,
) -> None:
    ours = {
        entry.name
        for entry in it.app.registry
        if entry.is_internal and entry.name.startswith(("zato.scheduler.", "zato.security."))
    }

    assert ours - TAKES.keys() == WITHOUT
    assert TAKES.keys() <= {entry.name for entry in it.app.registry}


def test_a_definition_is_described_with_all_of_its_fields() -> None:
    described = TAKES[f"{JOB}.create"]["properties"]

    assert described.keys() == {*NAMES, "should_ignore_existing"}
    assert all(described.values())


def filled(schema: dict[str, Any]) -> dict[str, Any]:
    """An example with every field that there may be."""
    everything = {**schema, "required": [*schema["properties"]]}
    found: dict[str, Any] = example_of(everything, {})
    return found


@pytest.mark.parametrize("service", sorted(TAKES))
async def test_no_field_that_is_described_is_unknown_or_of_a_wrong_kind(
    it: Sandbox, service: str
) -> None:
    if service == "demo.sleep":
        return
    sent = filled(TAKES[service])

    try:
        await it.invoke(service, sent)
    except BadInputError as error:
        wrong = [found.message for found in error.errors] or [str(error)]
        assert not [text for text in wrong if "known field" in text or "not allowed" in text]
    except NotFoundError:
        pass


async def test_the_example_of_a_new_job_makes_one(it: Sandbox) -> None:
    sent = example_of(TAKES[f"{JOB}.create"], {}) | {"service": "crm.work"}

    made = await it.invoke(f"{JOB}.create", sent)

    assert (await it.invoke(f"{JOB}.get-by-id", {"id": made["id"]}))["name"] == sent["name"]
    found = await it.invoke("zato.service.get-by-name", {"name": f"{JOB}.create"})
    assert found.input_schema == TAKES[f"{JOB}.create"]
