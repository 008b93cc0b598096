from datetime import datetime
from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.builtin.definition import NAMES
from zato_lite.builtin.deploy import built_in_services
from zato_lite.errors import BadInputError, NotFoundError
from zato_lite.http.endpoints.examples import example_of
from zato_lite.service.typed import declared, schema_of
from zato_lite.testing.app import Sandbox

JOB = "zato.scheduler.job"
WITHOUT_INPUT = {
    f"{JOB}.check-silent",
    f"{JOB}.export",
    "zato.scheduler.status",
    "zato.scheduler.continue",
    "zato.scheduler.resume",
    "zato.scheduler.calendar.get-list",
    "zato.security.user.get-list",
    "zato.security.key.get-list",
}
"""Services that read nothing of their payload."""


def described(side: str) -> dict[str, dict[str, Any]]:
    """Return the schemas of what the services of the scheduler and of security declare."""
    found = {cls.name: declared(cls, side) for cls in built_in_services()}
    return {
        name: schema_of(each.type)
        for name, each in found.items()
        if each is not None and name.startswith(("zato.scheduler.", "zato.security."))
    }


INPUTS = described("input")


def test_every_service_of_the_scheduler_and_of_security_declares_its_input_and_output() -> None:
    names = {
        cls.name
        for cls in built_in_services()
        if cls.name.startswith(("zato.scheduler.", "zato.security."))
    }

    assert names - INPUTS.keys() == WITHOUT_INPUT
    assert names - described("output").keys() == set()


def test_a_definition_is_described_with_all_of_its_fields() -> None:
    properties = INPUTS[f"{JOB}.create"]["properties"]

    assert properties.keys() == {*NAMES, "should_ignore_existing"}
    assert all(properties.values())


def filled(schema: dict[str, Any]) -> dict[str, Any]:
    """Return an example with every field of an object."""
    schemas = {f"#/$defs/{name}": each for name, each in schema.get("$defs", {}).items()}
    named: dict[str, Any] = {name.rpartition("/")[2]: each for name, each in schemas.items()}
    root = named[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    everything = {**root, "required": [*root["properties"]]}
    found: dict[str, Any] = example_of(everything, named)
    return found


@pytest.mark.parametrize("service", sorted(INPUTS))
async def test_every_described_field_is_known_and_of_the_described_kind(
    box: Sandbox, service: str
) -> None:
    sent = filled(INPUTS[service])

    try:
        await box.invoke(service, sent)
    except BadInputError as error:
        wrong = [found.message for found in error.errors] or [str(error)]
        assert not [text for text in wrong if "known field" in text or "not allowed" in text]
    except NotFoundError:
        pass


async def test_the_example_of_a_new_job_creates_a_job(box: Sandbox) -> None:
    sent = example_of(INPUTS[f"{JOB}.create"], {}) | {"service": "crm.work"}

    created = await box.invoke(f"{JOB}.create", sent)

    assert (await ask(box, "get-by-id", id=created["id"]))["name"] == sent["name"]
    found = await box.invoke("zato.service.get-by-name", {"name": f"{JOB}.create"})
    assert found.input_schema == INPUTS[f"{JOB}.create"]


async def test_a_job_is_answered_with_described_fields_only(box: Sandbox) -> None:
    job_id = await create_job(box, pause_note="a reason", keep_days=2)

    for name, answer in (
        ("get-by-id", await ask(box, "get-by-id", id=job_id)),
        ("get-list", (await ask(box, "get-list"))[0]),
    ):
        schema = described("output")[f"{JOB}.{name}"]
        schema = item_schema(schema)
        assert answer.keys() <= schema["properties"].keys()
        assert set(schema["required"]) <= answer.keys()


def item_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a job; get-list returns a list of them, or an object with rows."""
    lists = [each for each in schema.get("anyOf", [schema]) if "items" in each]
    found: dict[str, Any] = lists[0]["items"] if lists else schema
    return found


@pytest.mark.parametrize("timezone", [{}, {"timezone": "Europe/Warsaw"}])
async def test_dates_that_are_described_as_date_time_have_an_offset(
    box: Sandbox, timezone: dict[str, str]
) -> None:
    job_id = await create_job(box, end_date="2099-01-01T00:00:00", **timezone)
    definition = {"name": "x", "service": "crm.work", "job_type": "one_time", **timezone}

    for name, answer in (
        ("get-by-id", await ask(box, "get-by-id", id=job_id)),
        ("get-by-name", await ask(box, "get-by-name", name="often")),
        ("get-list", (await ask(box, "get-list"))[0]),
        ("validate", (await ask(box, "validate", **definition))["definition"]),
    ):
        schema = described("output")[f"{JOB}.{name}"]
        schema = item_schema(schema)
        if name == "validate":
            schema = schema["$defs"]["Validation"]["properties"]["definition"]
        dates = {
            field
            for field, each in schema["properties"].items()
            if each.get("format") == "date-time"
        }
        assert "start_date" in answer
        assert all(datetime.fromisoformat(answer[field]).tzinfo for field in dates & answer.keys())


def test_every_declared_schema_is_valid_in_openapi_3_1() -> None:
    schemas = [each for side in ("input", "output") for each in described(side).values()]

    while schemas:
        schema = schemas.pop()
        assert isinstance(schema, dict | bool), schema  # a list of items is `prefixItems`
        if isinstance(schema, dict):
            kinds = schema.get("type", "object")
            names = {"null", "boolean", "object", "array", "number", "string", "integer"}
            assert {kinds} if isinstance(kinds, str) else set(kinds) <= names
            for keyword in ("items", "additionalProperties", "not", "contains"):
                schemas += [schema[keyword]] if keyword in schema else []
            for keyword in ("anyOf", "oneOf", "allOf", "prefixItems"):
                schemas += schema.get(keyword, [])
            for keyword in ("properties", "$defs", "patternProperties"):
                schemas += schema.get(keyword, {}).values()
