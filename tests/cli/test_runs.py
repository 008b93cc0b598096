import time

from tests.cli.conftest import Running

JOB = "zato.scheduler.job"


def test_runs_are_listed_and_shown_by_their_ids_or_their_jobs(server: Running) -> None:
    server.job("run me", "shop.pay", extra='{"id": 7}')
    server.run("job", "run", "run me", "--wait")

    [row] = server.run("run", "list", "--job", "run me", "--json").json
    by_id = server.run("run", "show", str(row["run_id"]), "--json").json
    by_job = server.run("run", "show", "run me/1", "--json").json

    assert by_id == by_job
    assert (by_id["job_name"], by_id["outcome"]) == ("run me", "ok")
    assert server.run("run", "list", "--outcome", "error", "--job", "run me").out == ""
    assert any(
        "Order 7" in line for line in server.run("run", "logs", "run me/1").out.splitlines()
    )


def test_a_run_without_a_job_is_shown(server: Running) -> None:
    started = server.run("invoke", "zato.service.invoke", "name=shop.echo", "is_async=true").json

    run_id = str(started["run_id"])
    waited = server.run("wait", run_id, "--json").json
    shown = server.run("run", "show", run_id, "--json").json
    logs = server.run("run", "logs", run_id)

    assert (waited["outcome"], shown["service"]) == ("ok", "shop.echo")
    assert logs.status == 5
    assert f"run {run_id} has no job; its lines are in the log of the server" in logs.err


def test_runs_that_do_not_exist_are_named(server: Running) -> None:
    server.job("no runs")

    assert server.run("run", "show", "123456789").status == 5
    assert server.run("run", "show", "no runs/7").status == 5
    assert server.run("run", "show", "x").status == 2


def test_runs_are_cancelled_and_retried(server: Running) -> None:
    server.job("slow", "shop.slow")
    server.run("job", "run", "slow")
    for _ in range(100):
        if server.run("run", "list", "--job", "slow", "--outcome", "running", "--json").json:
            break
        time.sleep(0.02)

    late = server.run("wait", "slow/1", "--timeout", "0")
    assert (late.status, "has not ended after 0 s" in late.err) == (7, True)
    assert server.run("run", "cancel", "slow/1").out == "cancelled 1 runs\n"
    assert server.run("wait", "slow/1").status == 1
    again = server.run("run", "cancel", "slow/1")
    assert again.out == "cancelled 0 runs; 1 had ended already\n"
    server.job("failed", "shop.fail")
    server.run("job", "run", "failed", "--wait")
    assert server.run("run", "retry", "failed/1").out == "started run 2 of failed\n"
    assert server.run("run", "retry", "failed/1", "--wait").status == 1
