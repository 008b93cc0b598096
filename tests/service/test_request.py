import pytest

from zato_lite.service.attribute_dict import AttributeDict, MissingInputError
from zato_lite.service.message import HttpContext, Invocation
from zato_lite.service.request import Request, Response


def test_a_dictionary_can_be_read_by_attribute_at_every_level() -> None:
    request: Request = Request.of({"a": {"b": [{"c": 1}]}, "my.key": 2}, None)

    assert request.input.a.b[0].c == 1
    assert request.input["my.key"] == 2
    assert request.to_bunch().a == {"b": [{"c": 1}]}


def test_a_missing_element_is_the_caller_s_error_and_an_attribute_error() -> None:
    request: Request = Request.of({}, None)

    with pytest.raises(MissingInputError, match="Missing required input element: name") as caught:
        _ = request.input.name
    assert caught.value.status == 400
    assert caught.value.errors[0].field == "name"
    assert not hasattr(request.input, "name")
    with pytest.raises(AttributeError):
        del request.input.name


def test_attributes_can_be_set_and_deleted() -> None:
    bunch = AttributeDict()

    bunch.a = {"b": 1}
    bunch.a.b = 2
    bunch.gone = 1
    del bunch.gone

    assert bunch == {"a": {"b": 2}}


@pytest.mark.parametrize("payload", ["text", b"bytes", [1, 2], 7])
def test_payloads_other_than_dictionaries_are_the_input_unchanged(payload: object) -> None:
    assert Request.of(payload, None).input is payload


def test_without_a_payload_the_parameters_of_the_request_are_the_input() -> None:
    http = HttpContext("GET", "/c/7", {"id": "7"}, {"page": "2"}, {"user-agent": "curl"}, "::1")
    request: Request = Request.of(None, Invocation("a", http=http))

    assert request.input == {"id": "7", "page": "2"}
    assert request.params.id == "7"
    assert request.http.GET.page == "2"
    assert request.http.method == "GET"
    assert request.http.user_agent == "curl"
    assert request.http.remote_address == "::1"
    assert request.headers == {"user-agent": "curl"}


def test_without_http_there_is_nothing_of_http() -> None:
    request: Request = Request.of(None, None)

    assert request.input == {}
    assert request.http.method == ""
    assert request.http.GET == {}
    assert request.http.user_agent == ""
    assert request.http.remote_address == ""


def test_the_raw_request_is_the_original_text() -> None:
    assert Request.of({"a": 1}, Invocation("a", raw='{"a":1}')).raw_request == '{"a":1}'
    assert Request.of({"a": 1}, Invocation("a")).raw_request == {"a": 1}


def test_input_can_be_replaced() -> None:
    request: Request = Request.of({"a": 1}, None)

    request.input = 5

    assert request.input == 5


def test_headers_are_sent_when_there_are_any() -> None:
    response: Response = Response()
    assert response.sent_headers is None

    response.headers["X-A"] = "b"

    assert response.sent_headers == {"X-A": "b"}
