import pytest

from zato_lite.deploy.ownership import SERVICE, Claim, Refusal, refusals, unique
from zato_lite.errors import ConflictError, ServiceExistsError

A, B = Claim(SERVICE, "a"), Claim(SERVICE, "b")
GET = Claim("Channel", "GET /a")


def test_what_nobody_has_can_be_had() -> None:
    assert refusals({"one": [A]}, {"two": [B, GET]}) == {}


def test_what_somebody_has_cannot_be_had() -> None:
    found = refusals({"one": [A]}, {"two": [B, A]})

    assert found == {"two": Refusal(A, "one")}
    assert str(found["two"].error) == "Service `a` already exists, in one"


def test_of_two_who_want_it_the_first_one_gets_it() -> None:
    assert refusals({}, {"one": [GET], "two": [GET]}) == {"two": Refusal(GET, "one")}


def test_who_has_it_keeps_it_even_against_one_who_comes_first() -> None:
    assert refusals({"two": [A]}, {"one": [A], "two": [A, B]}) == {"one": Refusal(A, "two")}


def test_what_one_lets_go_of_another_one_can_have() -> None:
    assert refusals({"one": [A], "two": [B]}, {"one": [B], "two": [A]}) == {}


def test_who_is_refused_goes_on_holding_what_it_had() -> None:
    held = {"one": [A], "three": [B]}

    found = refusals(held, {"one": [B], "two": [A]})

    assert found == {"one": Refusal(B, "three"), "two": Refusal(A, "one")}


def test_nobody_claims_the_same_thing_twice() -> None:
    assert unique([A, GET, B], "one") == (A, GET, B)
    with pytest.raises(ServiceExistsError, match="Service `a` is twice in one"):
        unique([A, A], "one")
    with pytest.raises(ConflictError, match="Channel `GET /a` is twice in one"):
        unique([GET, A, GET], "one")
