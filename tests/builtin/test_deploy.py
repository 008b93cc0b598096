import gc
import json

import pytest

from zato_lite.builtin.deploy import built_in_services, deploy
from zato_lite.service.access import needed_role
from zato_lite.service.registry import Registry
from zato_lite.service.typed import schema_of

WITHOUT_OUTPUT = {
    "demo.echo",
    "helpers.echo",
    "pub.helpers.input-logger",
    "test.raise",
    "zato.helpers.echo",
    "zato.helpers.input-logger",
    "zato.helpers.raw-request-logger",
    "zato.service.invoke",
}
"""Services that answer with their input, with another service's answer, or not at all."""


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    deploy(registry)
    return registry


def test_a_class_with_a_name_is_deployed_and_its_base_without_one_is_not() -> None:
    found = list(built_in_services())

    assert len(found) > 50
    assert all("name" in cls.__dict__ for cls in found)
    assert len({cls.get_name() for cls in found}) == len(found)


def test_the_role_of_a_built_in_service_is_the_one_its_class_declares(registry: Registry) -> None:
    for cls in built_in_services():
        assert needed_role(cls.get_name()) == cls.role


def test_built_in_services_describe_their_answers(registry: Registry) -> None:
    undescribed = {entry.name for entry in registry if not schema_of(entry.output)}

    assert undescribed == WITHOUT_OUTPUT


def test_schemas_of_built_in_services_are_json(registry: Registry) -> None:
    for entry in registry:
        assert json.loads(json.dumps([schema_of(entry.input), schema_of(entry.output)]))


@pytest.mark.parametrize("is_enabled", [True, False])
def test_no_garbage_is_collected_while_services_are_deployed(is_enabled: bool) -> None:
    registry = Registry()
    seen: list[int] = []
    note = lambda phase, info: seen.append(len(registry))  # noqa: E731
    was_enabled, thresholds = gc.isenabled(), gc.get_threshold()
    (gc.enable if is_enabled else gc.disable)()
    gc.set_threshold(10)
    gc.callbacks.append(note)
    try:
        deploy(registry)
        is_left_enabled = gc.isenabled()
    finally:
        gc.callbacks.remove(note)
        gc.set_threshold(*thresholds)
        (gc.enable if was_enabled else gc.disable)()

    assert is_left_enabled == is_enabled
    assert set(seen) <= {0, len(registry)}
