from typing import Any

import pytest

from zato_lite.service.payload import embed, payload_of
from zato_lite.wire import encode


@pytest.mark.parametrize(
    ("extra", "payload"),
    [
        (None, None),
        ("", None),
        ('{"a": [1, 2]}', {"a": [1, 2]}),
        ("[1]", [1]),
        ("12", 12),
        ("just text", "just text"),
        ("a=1", {"a": 1}),
        (
            "a=1\n# no\nb = yes it is; c=true;d=None",
            {"a": 1, "b": "yes it is", "c": True, "d": None},
        ),
        ("x.y-z=[1, 'b']", {"x.y-z": [1, "b"]}),
        ("a=1\nand then text", "a=1\nand then text"),
        ("a=__import__('os')", {"a": "__import__('os')"}),
        ('{"zato_embedded": false, "data": 1}', {"zato_embedded": False, "data": 1}),
    ],
)
def test_the_text_of_a_job_becomes_the_payload_of_its_service(
    extra: str | None, payload: Any
) -> None:
    assert payload_of(extra) == payload


def test_embedded_data_is_received_unchanged() -> None:
    extra = encode(embed({"my.key": "my.value"})).decode()

    assert payload_of(extra) == {"my.key": "my.value"}
