from tests.builtin.conftest import create_job
from zato_lite import __version__
from zato_lite.testing.app import Sandbox


async def test_the_status_has_jobs_by_state_and_what_the_node_does(box: Sandbox) -> None:
    await create_job(box)
    await create_job(box, name="bad", service="crm.fail")
    await box.advance(minutes=5)

    found = await box.invoke("zato.scheduler.status")

    assert (found["jobs"]["all"], found["jobs"]["failing"]) == (2, 1)
    assert (found["total_jobs"], found["in_flight"], found["queued"]) == (2, 0, 0)
    assert (found["lateness_p50_ms"], found["lateness_p99_ms"]) == (0.0, 0.0)
    assert found["next_fire_iso"] == "2027-01-15T08:10:00+00:00"
    [node] = found["nodes"]
    assert (node["version"], node["in_flight"], node["capacity"]) == (__version__, 0, 10_000)
    assert node["claims_per_s"] == 2 / 60
    assert node["lag_ms"] >= 0


async def test_a_status_without_runs_has_no_lateness(box: Sandbox) -> None:
    found = await box.invoke("zato.scheduler.status")

    assert (found["lateness_p50_ms"], found["next_fire_iso"]) == (None, None)
