"""Figures, errors and jobs of a service, and the completion of its name."""

from typing import Any

import msgspec
import pytest

from tests.builtin.conftest import ask, ask_as, caller, create_job
from zato_lite import Service
from zato_lite.errors import BadInputError
from zato_lite.testing.app import Sandbox, sandbox


async def detail(box: Sandbox, name: str, **sent: Any) -> dict[str, Any]:
    found = await box.invoke("zato.service.get-by-name", {"name": name, **sent})
    answer: dict[str, Any] = msgspec.to_builtins(found)
    return answer


async def names(box: Sandbox, **sent: Any) -> list[str]:
    found = await box.invoke("zato.service.get-list", sent)
    return [each["name"] for each in msgspec.to_builtins(found)]


async def test_a_service_has_figures_of_its_latest_invocations(box: Sandbox) -> None:
    before = await detail(box, "crm.work")
    for _ in range(150):
        await box.invoke("crm.work")

    after = await detail(box, "crm.work")

    assert (before["p50_ms"], before["p95_ms"]) == (None, None)
    assert 0 <= after["p50_ms"] <= after["p95_ms"]
    assert after["recent_errors"] == []


async def test_a_service_shows_its_latest_errors_with_their_runs(box: Sandbox) -> None:
    job_id = await create_job(box, service="crm.fail")
    await box.advance(minutes=5)
    with pytest.raises(ValueError, match="no rows"):
        await box.invoke("crm.fail")

    found = await detail(box, "crm.fail")
    direct, of_run = found["recent_errors"]

    assert direct["error"] == of_run["error"] == "ValueError: no rows"
    assert (of_run["job_id"], of_run["current_run"], of_run["channel"]) == (job_id, 1, "scheduler")
    assert "job_id" not in direct
    assert direct["cid"] != of_run["cid"] != ""
    assert found["last_error"] == "ValueError: no rows"
    assert direct["at_iso"][:16] == "2027-01-15T08:05"


async def test_only_the_latest_errors_are_kept(box: Sandbox) -> None:
    for _ in range(30):
        with pytest.raises(ValueError, match="no rows"):
            await box.invoke("crm.fail")

    found = await detail(box, "crm.fail")

    assert (found["errors"], len(found["recent_errors"])) == (30, 20)


async def test_a_service_shows_the_jobs_that_run_it(box: Sandbox) -> None:
    await create_job(box, name="b", is_active=False)
    await create_job(box, name="a")
    await create_job(box, name="other", service="crm.fail")

    found = await detail(box, "crm.work")

    assert [(job["name"], job["words"], job["is_active"]) for job in found["jobs"]] == [
        ("a", "every 5 minutes", True),
        ("b", "every 5 minutes", False),
    ]
    assert found["job_count"] == 2
    brief = await detail(box, "crm.work", has_jobs=False)
    assert brief == found | {"jobs": [], "job_count": 0}


async def test_names_are_completed_those_that_begin_so_first(box: Sandbox) -> None:
    assert await names(box, prefix="crm") == ["crm.fail", "crm.work"]
    assert (await names(box, prefix="job.get", limit=2))[0].startswith("zato.scheduler.job.get")
    assert (await names(box, prefix="W", limit=1)) != []
    assert await names(box, prefix="nothing") == []


async def test_services_with_errors_are_listed_on_request(box: Sandbox) -> None:
    with pytest.raises(ValueError, match="no rows"):
        await box.invoke("crm.fail")

    assert await names(box, with_errors=True) == ["crm.fail"]
    confined = caller("c", "viewer", "crm.work")
    assert await ask_as(confined, box, "zato.service.get-list", with_errors=True) == []


class Silent(Service):
    name = "crm.silent"

    async def handle(self) -> None:
        raise TimeoutError


async def test_an_error_without_a_message_is_its_type() -> None:
    async with sandbox(Silent) as box:
        with pytest.raises(TimeoutError):
            await box.invoke("crm.silent")

        assert (await detail(box, "crm.silent"))["last_error"] == "TimeoutError"


@pytest.mark.parametrize("sent", [{"limit": 0}, {"limit": "x"}, {"prefix": 5}])
async def test_wrong_options_are_refused(box: Sandbox, sent: dict[str, Any]) -> None:
    with pytest.raises(BadInputError):
        await box.invoke("zato.service.get-list", sent)
    assert await ask(box, "get-list") == []


async def test_errors_of_built_in_services_are_counted_and_not_shown(box: Sandbox) -> None:
    with pytest.raises(BadInputError):
        await box.invoke("zato.security.user.create", {"name": "eve", "password": 5})

    found = await detail(box, "zato.security.user.create")

    assert (found["errors"], found["recent_errors"], found["last_error"]) == (1, [], "")
