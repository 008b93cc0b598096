from typing import Any

import pytest

from tests.cli.conftest import Running


def stored(server: Running, name: str) -> dict[str, Any]:
    found: dict[str, Any] = server.run("calendar", "show", name, "--json").json
    shown = {"year", "days", "jobs", "job_count"}
    return {key: value for key, value in found.items() if key not in shown}


def test_a_calendar_is_created_listed_shown_and_deleted(server: Running) -> None:
    made = server.run(
        *("calendar", "create", "days off", "--weekday", "Sunday", "--yearly", "12-25"),
        *("--date", "2027-05-03", "--range", "2027-12-27/2027-12-31 year's end"),
        *("--range", "2027-08-02/2027-08-02", "--include", "2027-05-02", "--description", "Ours"),
    )
    assert made.out == "created calendar days off\n"
    server.job("rests", job_type="interval_based", hours=1, calendar="days off")

    listed = server.run("calendar", "list", "-o", "csv").out.splitlines()
    assert listed[0] == "name,weekdays,yearly,dates,ranges,included,description"
    assert (
        "days off,sun,12-25,2027-05-03,"
        '"2027-12-27/2027-12-31 year\'s end, 2027-08-02/2027-08-02",2027-05-02,Ours'
    ) in listed
    shown = server.run("calendar", "show", "days off").out
    assert "jobs\trests\n" in shown
    days = server.run("calendar", "show", "days off", "--year", "2027").out.splitlines()
    assert "2027-12-28\tyear's end" in days
    assert "2027-05-02" not in "\n".join(days)
    assert "jobs" in server.run("calendar", "show", "days off", "-o", "yaml").out

    refused = server.run("calendar", "delete", "days off")
    assert (refused.status, "rests" in refused.err) == (6, True)
    server.run("job", "delete", "rests")
    assert server.run("calendar", "delete", "days off").out == "deleted calendar days off\n"
    assert server.run("calendar", "show", "days off").status == 5


def test_options_add_to_the_lists_of_a_calendar_and_clear_empties_one(server: Running) -> None:
    server.run("calendar", "create", "added", "--date", "2027-05-03", "--weekday", "sat")

    server.run("calendar", "edit", "added", "--date", "2027-05-03", "--date", "2028-05-03")
    assert stored(server, "added")["dates"] == ["2027-05-03", "2028-05-03"]
    ran = server.run("calendar", "edit", "added", "--clear", "dates", "--date", "2029-05-03")
    assert ran.out == "changed calendar added\n"
    assert stored(server, "added") == {
        "name": "added",
        "dates": ["2029-05-03"],
        "weekdays": [5],
    }
    server.run("calendar", "edit", "added", "--clear", "weekdays", "--description", "One day")
    assert stored(server, "added") == {
        "name": "added",
        "dates": ["2029-05-03"],
        "description": "One day",
    }


def test_a_calendar_gets_a_new_name_also_in_its_jobs(server: Running) -> None:
    server.run("calendar", "create", "old name", "--weekday", "sun")
    server.job("follows", job_type="interval_based", hours=1, calendar="old name")

    assert server.run("calendar", "edit", "old name", "--new-name", "new name").status == 0

    assert server.run("job", "show", "follows", "--json").json["calendar"] == "new name"
    assert stored(server, "new name")["weekdays"] == [6]


def test_a_calendar_is_edited_in_an_editor(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.run("calendar", "create", "by hand", "--weekday", "sun", "--date", "2027-05-03")
    shown: list[str] = []

    def edit(text: str, extension: str) -> str:
        shown.append(text)
        return text.replace("dates:\n- '2027-05-03'", "dates: [2028-05-03]").replace("- 6", "- 5")

    monkeypatch.setattr("click.edit", edit)
    monkeypatch.setenv("EDITOR", "an editor")
    assert server.run("calendar", "edit", "by hand").status == 0

    assert "yearly: []" in shown[0]
    assert stored(server, "by hand") == {
        "name": "by hand",
        "dates": ["2028-05-03"],
        "weekdays": [5],
    }
    monkeypatch.setattr("click.edit", lambda text, extension: text)
    assert server.run("calendar", "edit", "by hand").out == "nothing was changed\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--weekday", "7"], "--weekday: '7' is not one of mon, tue"),
        (["--range", "2027-12-20"], "--range: '2027-12-20' is not FIRST/LAST, as 2027-12-20/"),
        (["--yearly", "christmas"], "`christmas` is not a valid rule; use 12-25"),
        (["--date", "tomorrow"], "dates"),
        (["--range", "2027-12-20/2027-12-19"], "2027-12-19 is before 2027-12-20"),
    ],
)
def test_a_wrong_day_is_named_and_nothing_is_created(
    server: Running, options: list[str], words: str
) -> None:
    refused = server.run("calendar", "create", "wrong", *options)

    assert refused.status == 2
    assert words in refused.err
    assert server.run("calendar", "show", "wrong").status == 5
