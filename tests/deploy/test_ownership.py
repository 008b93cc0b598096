import pytest

from zato_lite.deploy.ownership import SERVICE, Claim, Refusal, refusals, unique
from zato_lite.errors import ConflictError, ServiceExistsError

A, B = Claim(SERVICE, "a"), Claim(SERVICE, "b")
GET = Claim("Channel", "GET /a")


def test_a_free_claim_is_granted() -> None:
    assert refusals({"one": [A]}, {"two": [B, GET]}) == {}


def test_a_claim_of_another_owner_is_refused() -> None:
    found = refusals({"one": [A]}, {"two": [B, A]})

    assert found == {"two": Refusal(A, "one")}
    assert str(found["two"].error) == "Service `a` already exists, in one"


def test_of_two_offers_the_first_is_accepted() -> None:
    assert refusals({}, {"one": [GET], "two": [GET]}) == {"two": Refusal(GET, "one")}


def test_the_holder_has_priority_over_an_earlier_offer() -> None:
    assert refusals({"two": [A]}, {"one": [A], "two": [A, B]}) == {"one": Refusal(A, "two")}


def test_a_claim_that_its_owner_gives_up_is_granted() -> None:
    assert refusals({"one": [A], "two": [B]}, {"one": [B], "two": [A]}) == {}


def test_a_refused_owner_keeps_its_claims() -> None:
    held = {"one": [A], "three": [B]}

    found = refusals(held, {"one": [B], "two": [A]})

    assert found == {"one": Refusal(B, "three"), "two": Refusal(A, "one")}


def test_a_claim_that_occurs_twice_is_refused() -> None:
    assert unique([A, GET, B], "one") == (A, GET, B)
    with pytest.raises(ServiceExistsError, match="Service `a` is declared twice in one"):
        unique([A, A], "one")
    with pytest.raises(ConflictError, match="Channel `GET /a` is declared twice in one"):
        unique([GET, A, GET], "one")
