import time
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zato_lite.builtin.deploy import deploy
from zato_lite.service.access import is_within, may_invoke, missing_right, needed_role, refusal
from zato_lite.service.message import Caller
from zato_lite.service.registry import Registry

pytestmark = pytest.mark.usefixtures("without_collector")


@pytest.fixture(scope="module", autouse=True)
def built_in_services() -> None:
    """Declare the roles of the built-in services, as each start of a server does."""
    deploy(Registry())


@pytest.mark.parametrize(
    ("service", "role"),
    [
        ("zato.ping", "viewer"),
        ("zato.scheduler.job.get-list", "viewer"),
        ("zato.scheduler.calendar.get-by-name", "viewer"),
        ("zato.scheduler.job.execute", "operator"),
        ("zato.scheduler.job.create", "editor"),
        ("zato.scheduler.pause", "editor"),
        ("zato.user.create", "admin"),
        ("zato.hot-deploy.create", "admin"),
        ("zato.no.such.service", "admin"),
        ("crm.get-invoices", "operator"),
        ("health", "operator"),
        ("login", "operator"),
    ],
)
def test_each_service_requires_a_role(service: str, role: str) -> None:
    assert needed_role(service) == role


def test_a_role_includes_the_roles_before_it() -> None:
    viewer, admin = (Caller("x", frozenset({role})) for role in ("viewer", "admin"))

    assert may_invoke(viewer, "zato.scheduler.job.get-list")
    assert not may_invoke(viewer, "zato.scheduler.job.create")
    assert not may_invoke(viewer, "crm.get-invoices")
    assert may_invoke(admin, "zato.user.create")


def test_a_caller_without_a_role_may_invoke_nothing() -> None:
    assert not may_invoke(Caller("x"), "zato.ping")
    assert not may_invoke(Caller("x", frozenset({"king"})), "zato.ping")


@pytest.mark.parametrize(
    ("service", "role", "patterns", "why"),
    [
        ("zato.scheduler.job.create", "viewer", (), "role 'editor' is needed"),
        ("zato.scheduler.job.create", "viewer", ("crm.*",), "role 'editor' is needed"),
        ("zato.no.such.service", "editor", (), "role 'admin' is needed"),
        ("crm.get-invoices", "viewer", (), "role 'operator' is needed"),
        (
            "crm.get-invoices",
            "admin",
            ("billing.*",),
            "it matches none of the patterns of this key",
        ),
        ("zato.scheduler.pause", "editor", ("zato.*",), "it is for callers without patterns"),
    ],
)
def test_a_refusal_names_the_right_that_is_missing(
    service: str, role: str, patterns: tuple[str, ...], why: str
) -> None:
    caller = Caller("5f0c", frozenset({role}), patterns, "key", label="nightly")

    assert not may_invoke(caller, service)
    assert refusal(caller, service) == (
        f"key 'nightly (5f0c)' is not allowed to invoke service '{service}'; {why}"
    )


def test_patterns_confine_every_role() -> None:
    caller = Caller("x", frozenset({"admin"}), ("crm.*", "zato.ping"))

    assert may_invoke(caller, "crm.get-invoices")
    assert may_invoke(caller, "zato.ping")
    assert not may_invoke(caller, "billing.pay")


@pytest.mark.parametrize(
    ("pattern", "bound", "is_it"),
    [
        ("crm.*", "crm.*", True),
        ("crm.get-*", "crm.*", True),
        ("crm.*.x", "crm.*", True),
        ("crm.get", "crm.g?t", True),
        ("crm.??", "crm.*", True),
        ("crm.a", "crm.[ab]", True),
        ("crm.[ab]", "crm.?", True),
        ("crm.[!a]", "crm.[!a]", True),
        ("crm.*", "crm.get-*", False),
        ("*", "crm.*", False),
        ("crm*", "crm.*", False),
        ("crm.??", "crm.?", False),
        ("crm.?", "crm.[ab]", False),
        ("crm.[ab]", "crm.a", False),
        ("crm.a", "crm.[!a]", False),
        ("crm", "", False),
        ("a**", "*", True),
        ("a", "**a**", True),
        ("a]", "a]", True),
        ("[]", "?", False),
        ("[]", "??", True),
        ("[!]", "???", True),
        ("[]a]", "?", True),
        ("[", "[[]", True),
        ("[a", "[a", True),
    ],
)
def test_a_pattern_is_within_another_one_or_not(pattern: str, bound: str, is_it: bool) -> None:
    assert is_within(pattern, bound) is is_it


_PATTERNS = st.text("ab.*?[]!", max_size=8)


@given(pattern=_PATTERNS, bound=_PATTERNS, name=st.text("ab.[]!", max_size=8))
def test_a_name_that_matches_a_pattern_matches_every_wider_pattern(
    pattern: str, bound: str, name: str
) -> None:
    if is_within(pattern, bound) and fnmatchcase(name, pattern):
        assert fnmatchcase(name, bound)


@pytest.mark.parametrize("unit", ["[", "*a", "?", "[a]", "[!", "*", "*?"])
def test_patterns_are_compared_in_time_proportional_to_their_length(unit: str) -> None:
    times = []
    for length in (2_000, 8_000):
        pattern = unit * (length // len(unit))
        began = time.thread_time()
        is_within(pattern, "*".join(pattern[:200]))
        is_within(pattern, pattern)
        times.append(time.thread_time() - began)

    assert times[1] < 16 * max(times[0], 0.002)  # quadratic ones of 8,000 letters took 60 s


def test_every_pattern_is_within_all() -> None:
    assert is_within("a?[b]*", "*")


@pytest.mark.parametrize(
    ("roles", "patterns", "excess"),
    [
        (("editor",), ("crm.get-*",), ""),
        (("admin",), ("crm.*",), "the role admin is above its own"),
        (("king",), ("crm.*",), "the role king is above its own"),
        (("viewer",), (), "no patterns, which is all services, is more than its own patterns"),
        (("viewer",), ("crm.*", "billing.*"), "`billing.*` is not within its own patterns"),
    ],
)
def test_the_first_missing_right_of_a_caller_is_named(
    roles: tuple[str, ...], patterns: tuple[str, ...], excess: str
) -> None:
    caller = Caller("x", frozenset({"editor"}), ("crm.*", "zato.*"))

    told = missing_right(caller, roles, patterns)

    assert told == (f"{excess} (crm.*, zato.*)" if "patterns" in excess else excess)


def test_a_caller_without_patterns_may_grant_rights_up_to_its_role() -> None:
    assert missing_right(Caller("x", frozenset({"admin"})), ("admin",), ()) == ""
    assert missing_right(Caller("x"), ("viewer",), ()) == "the role viewer is above its own"
