import pytest

from zato_lite.service.access import may_invoke, needed_role
from zato_lite.service.message import Caller


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
        ("crm.get-invoices", "operator"),
        ("health", "operator"),
        ("login", "operator"),
    ],
)
def test_each_service_takes_a_role(service: str, role: str) -> None:
    assert needed_role(service) == role


def test_a_role_may_all_that_the_ones_before_it_may() -> None:
    viewer, admin = (Caller("x", frozenset({role})) for role in ("viewer", "admin"))

    assert may_invoke(viewer, "zato.scheduler.job.get-list")
    assert not may_invoke(viewer, "zato.scheduler.job.create")
    assert not may_invoke(viewer, "crm.get-invoices")
    assert may_invoke(admin, "zato.user.create")


def test_no_role_may_nothing() -> None:
    assert not may_invoke(Caller("x"), "zato.ping")
    assert not may_invoke(Caller("x", frozenset({"king"})), "zato.ping")


def test_patterns_confine_whatever_the_role() -> None:
    caller = Caller("x", frozenset({"admin"}), ("crm.*", "zato.ping"))

    assert may_invoke(caller, "crm.get-invoices")
    assert may_invoke(caller, "zato.ping")
    assert not may_invoke(caller, "billing.pay")
