"""The project that type checkers read is deployed and runs."""

from tests.http import typed_project
from zato_lite.http.endpoints.openapi import openapi_document
from zato_lite.http.endpoints.operations import ServiceDescription
from zato_lite.service.base import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.registry import Registry
from zato_lite.service.typed import schema_of


async def test_the_typed_project_is_deployed_and_runs() -> None:
    registry = Registry()
    for cls in vars(typed_project).values():
        if isinstance(cls, type) and issubclass(cls, Service) and cls is not Service:
            registry.add(cls)

    described = [
        ServiceDescription(e.name, "", (), schema_of(e.input), schema_of(e.output))
        for e in registry
    ]
    answer = await Invoker(registry).invoke(typed_project.Sum)

    assert answer == 3
    assert {"Search", "Photo", "Row"} <= openapi_document(described)["components"][
        "schemas"
    ].keys()
