import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli.conftest import Running
from zato_lite.cli.job_changes import next_words

JOB = "zato.scheduler.job"


def stored(server: Running, name: str) -> Any:
    return server.ask(f"{JOB}.get-by-name", {"name": name})


def test_jobs_are_listed_by_their_words(server: Running) -> None:
    server.job("list nightly", tags=["a"])
    server.job("list hourly", job_type="interval_based", every="1 h")

    assert server.run("job", "list", "list", "nightly", "--json").json[0]["words"]
    lines = server.run("job", "list", "list").out.splitlines()
    assert [line.split("\t")[:2] for line in lines] == [
        ["list hourly", "active"],
        ["list nightly", "active"],
    ]
    assert "list hourly" not in server.run("job", "list", "list", "--tag", "a").out


def test_a_table_has_a_head_and_times_from_now(server: Running) -> None:
    server.job("table", start_date="2098-01-01")

    [head, row] = server.run("job", "list", "table", "-o", "table").out.splitlines()

    assert head.split() == ["NAME", "STATE", "SCHEDULE", "NEXT", "LAST", "OUTCOME"]
    assert "2098-01-01" in row
    assert "SERVICE" in server.run("job", "list", "table", "-o", "wide").out


def test_a_list_that_is_cut_says_so(server: Running) -> None:
    for name in ("cut 1", "cut 2"):
        server.job(name)

    ran = server.run("job", "list", "cut", "-n", "1")

    assert (ran.out.count("\n"), ran.err) == (1, "1 of 2 jobs; -n shows more\n")


def test_a_job_is_shown(server: Running) -> None:
    server.job("shown", description="of the shop")

    shown = server.run("job", "show", "shown")

    assert "description\tof the shop" in shown.out.splitlines()
    assert "service: shop.echo" in server.run("job", "show", "shown", "-o", "yaml").out
    assert server.run("job", "show", "shown", "-o", "csv").out.startswith("name,state,")


def test_a_job_is_paused_resumed_skipped_and_deleted_by_its_name(server: Running) -> None:
    server.job("by name", job_type="interval_based", every="1 h")

    assert server.run("job", "pause", "by name", "-m", "why not").out == "paused by name\n"
    assert stored(server, "by name")["pause_note"] == "why not"
    assert server.run("job", "resume", "by name").out == "resumed by name\n"
    assert stored(server, "by name")["is_active"] is True
    assert server.run("job", "skip", "by name").out == "skipped the next slot of by name\n"
    assert server.run("job", "skip", "by name", "-n", "2").status == 0
    assert stored(server, "by name")["skip_next"] == 2
    assert server.run("job", "delete", "by name", "--json").json["names"] == ["by name"]
    assert server.run("job", "show", "by name").status == 5


def test_jobs_that_match_are_changed_once_a_person_agrees(server: Running) -> None:
    for name in ("match 1", "match 2"):
        server.job(name, tags=["match"])

    refused = server.run("job", "pause", "--tag", "match", stdin="n\n")
    assert (refused.status, "2 jobs; continue?" in refused.err) == (1, True)
    assert stored(server, "match 1")["is_active"] is True
    assert server.run("job", "pause", "--tag", "match", stdin="y\n").status == 0
    assert stored(server, "match 2")["is_active"] is False
    assert server.run("job", "run", "--tag", "match", "-y").out == "started match 1, match 2\n"
    assert server.run("job", "pause", "--tag", "none").out == "no job matches\n"


@pytest.mark.parametrize("arguments", [[], ["x", "--tag", "y"]])
def test_jobs_are_selected_in_one_way(server: Running, arguments: list[str]) -> None:
    ran = server.run("job", "pause", *arguments)

    assert (ran.status, "give either names" in ran.err) == (2, True)


def test_a_run_is_started_and_waited_for(server: Running) -> None:
    server.job("good", "shop.pay", extra='{"id": 7}')
    server.job("bad", "shop.fail")

    assert server.run("job", "run", "good").out == "started run 1 of good\n"
    assert server.run("job", "run", "good", "--wait", "--json").json[0]["outcome"] == "ok"
    failed = server.run("job", "run", "good", "bad", "--wait")
    assert failed.status == 1
    assert [line.split("\t")[3] for line in failed.out.splitlines()] == ["ok", "error"]


def test_the_history_of_a_job_has_runs_and_slots_without_one(server: Running) -> None:
    server.job(
        "told", "shop.fail", job_type="interval_based", every="1 h", start_date="2099-01-01"
    )
    server.run("job", "run", "told", "--wait")

    [row] = server.run("job", "history", "told", "--outcome", "error", "--json").json
    assert "no money" in row["error"]
    line = server.run("job", "history", "told").out
    assert "no money" in line
    assert "Traceback" not in line
    assert "Traceback" in server.run("run", "show", "told/1").out
    assert server.run("job", "history", "told", "--outcome", "ok").out == ""
    assert server.run("job", "history", "told", "--skipped", "--json").json == []


def test_the_log_of_the_latest_run_is_shown_and_followed(server: Running) -> None:
    server.job("logged", "shop.pay", extra='{"id": 7}')
    assert server.run("job", "logs", "logged").status == 5
    server.run("job", "run", "logged", "--wait")

    for arguments in ([], ["1"], ["-f"]):
        lines = server.run("job", "logs", "logged", *arguments).out.splitlines()
        assert any(line.endswith("WARNING  Order 7") for line in lines), lines
    [entry] = server.run("job", "logs", "logged", "--level", "warn", "--json").json
    assert entry["message"] == "Order 7"
    assert server.run("job", "logs", "logged", "9", "-f").status == 5


def test_why_explains_the_latest_slot_or_an_instant(server: Running) -> None:
    server.job("explained", job_type="interval_based", every="1 h", start_date="2020-01-01")

    waits = server.run("job", "why", "explained").out
    assert "not_yet" in waits
    assert "the job waits for its first slot, due at " in waits
    assert "not_on_schedule" in server.run("job", "why", "explained", "2020-01-01 00:30").out
    asked = server.run("job", "why", "explained", "2020-01-01 00:00", "--json").json
    assert asked["outcome"] == "before_creation"


def test_why_explains_the_next_slot_of_a_job_without_an_earlier_one(server: Running) -> None:
    server.job("to come", job_type="cron_style", cron_definition="0 2 1 1 *")
    server.run("job", "pause", "to come", "-m", "holidays")

    answer = server.run("job", "why", "to come").out

    assert "paused" in server.run("job", "edit", "to come", "--cron", "0 3 1 1 *").out
    assert ": paused" in answer
    assert "holidays" in answer


def test_a_job_without_a_schedule_is_refused_with_the_options(server: Running) -> None:
    answer = server.run("job", "create", "unplanned", "shop.pay")

    assert answer.status == 2
    assert "--every, --cron and --at" in answer.err


def test_upcoming_slots_are_of_a_job_or_of_a_schedule(server: Running) -> None:
    server.job("due", job_type="cron_style", cron_definition="0 2 * * *", timezone="Europe/Warsaw")

    assert len(server.run("job", "upcoming", "due", "-n", "3").out.splitlines()) == 3
    schedule = ["--cron", "30 2 * * *", "--timezone", "Europe/Warsaw"]
    found = server.run(
        "job", "upcoming", *schedule, "--remarkable", "--mine", "UTC", "-n", "1", "--json"
    ).json
    assert found["slots"][0]["remarks"]
    assert server.run("job", "upcoming", "due", "--every", "1h", "-n", "1").status == 0
    assert server.run("job", "upcoming").status == 2


def test_slots_of_the_past_are_counted_and_run(server: Running) -> None:
    server.job("past", job_type="interval_based", every="1 h", start_date="2026-01-01")
    span = ["past", "2026-01-01 00:00", "2026-01-01 02:00"]

    assert server.run("job", "backfill", *span, "--dry-run").out == "3 slots would run\n"
    assert server.run("job", "backfill", *span).out == "3 slots run\n"


def test_a_job_is_created_from_a_schedule_and_fields(server: Running) -> None:
    created = server.run(
        "job",
        "create",
        "made",
        "shop.pay",
        "--every",
        "15m",
        "--max-retries",
        "3",
        "-i",
        '{"id": 1}',
    )

    assert created.out.startswith("created made: every 15 minutes; next run in ")
    assert stored(server, "made")["max_retries"] == 3
    again = server.run("job", "create", "made", "shop.echo", "--every", "15m")
    assert (again.status, "already exists" in again.err) == (6, True)
    wrong = server.run("job", "create", "made 2", "shop.pai", "--cron", "99 * * * *")
    assert (wrong.status, "minute" in wrong.err) == (2, True)
    both = server.run(
        "job", "create", "made 3", "shop.pay", "--cron", "@daily", "--at", "2099-01-01"
    )
    assert (both.status, "exclude one another" in both.err) == (2, True)


def test_a_definition_is_checked_without_creating_a_job(server: Running) -> None:
    right = server.run("job", "create", "dry", "shop.echo", "--at", "2099-01-01", "--dry-run")
    wrong = server.run("job", "create", "dry", "shop.nothing", "--every", "1h", "--dry-run")

    assert (right.status, right.out.startswith("dry: ")) == (0, True)
    assert (wrong.status, wrong.out.startswith("service: ")) == (2, True)
    assert server.run("job", "show", "dry").status == 5


def test_a_job_is_edited_by_options(server: Running) -> None:
    server.job("edited", description="old", tags=["old"])

    dry = server.run("job", "edit", "edited", "--priority", "5", "--dry-run")
    assert "priority: (default) -> 5" in dry.out.splitlines()
    ran = server.run("job", "edit", "edited", "--description", "new", "--clear", "tags")
    assert ran.out.startswith("changed edited: ")
    now = stored(server, "edited")
    assert (now["description"], now.get("tags")) == ("new", None)


def test_a_job_is_edited_in_an_editor(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    server.job("by hand", description="old", tags=["old"])
    texts: list[str] = []

    def edit(text: str, extension: str) -> str | None:
        texts.append(text)
        kept = [line for line in text.splitlines() if not line.startswith(("tags", "- old"))]
        return None if len(texts) > 1 else "\n".join(kept).replace("old", "new")

    monkeypatch.setattr("click.edit", edit)
    monkeypatch.setenv("EDITOR", "an editor")

    assert server.run("job", "edit", "by hand").status == 0
    now = stored(server, "by hand")
    assert (now["description"], now.get("tags")) == ("new", None)
    assert server.run("job", "edit", "by hand").out == "nothing was changed\n"


def test_no_editor_is_started_without_a_terminal(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    server.job("no terminal")

    refused = server.run("job", "edit", "no terminal")

    assert (refused.status, "an editor needs a terminal" in refused.err) == (2, True)


def test_the_log_of_a_run_that_does_not_exist_is_not_found(server: Running) -> None:
    server.job("never run")

    ran = server.run("job", "logs", "never run", "7")

    assert (ran.status, ran.err) == (5, "zato-lite: run 7 of the job does not exist\n")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-60, "; next run now"),
        (0.4, "; next run now"),
        (900.0, "; next run in 15 min"),
        (900.9, "; next run in 15 min"),
    ],
)
def test_the_time_to_the_next_run_is_in_whole_units(seconds: float, words: str) -> None:
    told = datetime(2027, 1, 15, 8, tzinfo=UTC)
    due = told + timedelta(seconds=seconds)

    assert next_words({"next_iso": due.isoformat()}, told.timestamp()) == words


def test_a_new_job_whose_time_has_passed_runs_now(server: Running) -> None:
    created = server.run("job", "create", "made too late", "shop.echo", "--at", "2020-01-01")

    begin = "created made too late: once, at 2020-01-01 00:00:00 UTC; "
    # The second if the job is looked at before its run has begun.
    assert created.out in {f"{begin}it runs now\n", f"{begin}next run now\n"}


def test_a_hostile_name_cannot_change_the_terminal(server: Running) -> None:
    server.job("shown safely", "shop.fail")
    body = json.dumps({"message": "\x1b[2J"})
    server.ask(f"{JOB}.edit", {"id": stored(server, "shown safely")["id"], "extra": body})

    assert "\x1b" not in server.run("job", "show", "shown safely", "-o", "table").out
