import json
from pathlib import Path

import pytest

from tests.cli.conftest import Running

JOBS = """\
scheduler:
  - name: plan nightly
    service: shop.echo
    job_type: cron_style
    cron_definition: '30 2 * * *'
    timezone: Europe/Warsaw
  - name: plan often
    service: shop.echo
    job_type: interval_based
    minutes: 5
    start_date: '2026-01-01 00:00:00'
    extra: ${GREETING}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "jobs.yaml"
    path.write_text(JOBS)
    return path


def test_a_file_is_planned_applied_and_exported(server: Running, file: Path) -> None:
    planned = server.run("apply", str(file), "--dry-run", "--json", GREETING="hello").json
    assert [(each["name"], each["action"]) for each in planned["plan"]] == [
        ("plan nightly", "create"),
        ("plan often", "create"),
    ]
    assert "02:30" in planned["plan"][0]["words"]
    assert server.run("job", "show", "plan often").status == 5

    applied = server.run("apply", str(file), GREETING="hello")
    assert applied.out == "2 created, 0 changed, 0 unchanged\n"
    assert "extra\thello" in server.run("job", "show", "plan often").out
    assert server.run("apply", str(file), "--dry-run", GREETING="hello").out == (
        "0 to create, 0 to change, 2 unchanged\n"
    )

    exported = server.run("export").out
    (file.parent / "all.yaml").write_text(exported)
    again = server.run("apply", str(file.parent / "all.yaml"), "--json").json
    assert (again["created"], again["updated"]) == ([], [])
    names = {each["name"] for each in server.run("export", "--json").json}
    assert {"plan nightly", "plan often"} <= names


def test_a_name_is_planned_as_the_server_reads_it(server: Running, file: Path) -> None:
    file.write_text(JOBS.replace("plan often", "' plan spaced '").replace("${GREETING}", "x"))

    planned = server.run("apply", str(file), "--dry-run", "--json").json["plan"]

    assert "plan spaced" in {each["name"] for each in planned}


def test_a_plan_for_a_pull_request_has_words_slots_and_clock_changes(
    server: Running, file: Path
) -> None:
    text = JOBS.replace("plan ", "pull ").replace("${GREETING}", "a|b")
    file.write_text(text)
    server.run("apply", str(file))
    file.write_text(text.replace("30 2", "45 2"))

    shown = server.run("apply", str(file), "--dry-run", "-o", "markdown").out

    assert "0 to create, 1 to change, 1 unchanged" in shown
    assert "#### Change pull nightly" in shown
    assert "02:45" in shown
    assert "(before: " in shown
    assert "| cron\\_definition | 30 2 \\* \\* \\* | 45 2 \\* \\* \\* |" in shown
    assert "**Next runs:**" in shown
    assert "**Clock change or day off:**" in shown
    table = server.run("apply", str(file), "--dry-run", "-o", "table").out
    assert "cron_definition: 30 2" in table


def test_a_wrong_file_is_refused_with_its_lines(server: Running, file: Path) -> None:
    unset = server.run("apply", str(file), "--dry-run", GREETING=None)
    assert (unset.status, "GREETING" in unset.err) == (2, True)
    file.write_text("scheduler:\n  - name: x\n    service: shop.nothing\n    job_type: one_time\n")
    missing = server.run("apply", str(file))
    assert (missing.status, "shop.nothing" in missing.err) == (5, True)
    file.write_text("scheduler: [\n")
    assert server.run("apply", str(file), "--dry-run").status == 2


def test_all_mistakes_of_a_file_are_named_with_it(server: Running, file: Path) -> None:
    text = JOBS.replace("${GREETING}", "x").replace("cron_style", "cron").replace("minutes", "min")
    file.write_text(f"{text}  - 5\njobs: []\n")

    ran = server.run("apply", str(file))

    assert ran.status == 2
    assert ran.err.startswith(f"zato-lite: {file}: ")
    for part in ("line 13: an entry must be an object", "line 14: `jobs`", "[cron]", "`min`"):
        assert part.replace("`", "") in ran.err.replace("`", "").replace("'", "")


@pytest.mark.parametrize("command", [["apply"], ["simulate"], ["import", "crontab"]])
def test_a_file_that_does_not_exist_is_named(server: Running, command: list[str]) -> None:
    ran = server.run(*command, "no such.yaml")

    assert (ran.status, ran.err) == (
        2,
        "zato-lite: no such.yaml: no such file or directory\n",
    )


def test_parts_without_effect_are_named(server: Running, file: Path) -> None:
    file.write_text("security:\n  - name: x\nscheduler: []\n")

    assert "`security` has no effect here" in server.run("apply", str(file)).err


def test_a_crontab_is_shown_and_imported(server: Running, tmp_path: Path) -> None:
    crontab = tmp_path / "crontab"
    crontab.write_text("0 4 * * * /bin/one\n99 * * * * /bin/two\n")
    command = ["import", "crontab", str(crontab), "--service", "shop.echo"]

    shown = server.run(*command, "--json")
    assert (shown.status, json.loads(shown.out)["created"]) == (2, 0)
    created = server.run(*command, "--create")
    assert created.err == "1 of 2 entries created\n"
    wrong = server.run("import", "celery", str(crontab), "--map", "x")
    assert (wrong.status, "--map" in wrong.err) == (2, True)


def test_an_import_of_functions_says_how_to_name_their_services(
    server: Running, tmp_path: Path
) -> None:
    jobs = tmp_path / "jobs.json"
    jobs.write_text('[{"id": "x", "func": "app:tick", "trigger": "interval", "minutes": 5}]')

    unknown = server.run("import", "apscheduler", str(jobs))
    mapped = server.run("import", "apscheduler", str(jobs), "--map", "app:tick=shop.echo")

    assert unknown.status == 2
    assert "--service SERVICE, or --map THEIRS=SERVICE" in unknown.err
    assert (mapped.status, mapped.err) == (0, "")


def test_slots_of_the_coming_days_are_listed(server: Running, file: Path) -> None:
    file.write_text(JOBS.replace("${GREETING}", "x"))

    week = server.run("simulate", str(file), "--week", "-n", "5000", "-o", "csv").out.splitlines()
    assert sum(line.endswith("plan nightly") for line in week) == 7
    cut = server.run("simulate", str(file), "-n", "2")
    assert (cut.out.count("\n"), cut.err) == (2, "the first 2 slots; -n shows more\n")
    server.job("simulated", job_type="interval_based", every="1 h", start_date="2026-01-01")
    assert "simulated" in server.run("simulate", "--days", "0.5").out


@pytest.mark.parametrize("form", ["wide", "table", "csv", "markdown"])
def test_a_plan_without_changes_has_all_formats(server: Running, file: Path, form: str) -> None:
    file.write_text("scheduler: []\n")

    assert server.run("apply", str(file), "--dry-run", "-o", form).status == 0


def test_a_file_that_is_not_text_is_refused(server: Running, file: Path) -> None:
    file.write_bytes(b"\xff\xfe")

    for command in (["apply", str(file)], ["invoke", "shop.echo", f"@{file}"]):
        ran = server.run(*command)
        assert (ran.status, "is not text in UTF-8" in ran.err) == (2, True)
