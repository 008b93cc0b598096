from collections.abc import Iterator
from typing import Any

import pytest

from zato_lite.builtin.definition import read
from zato_lite.builtin.documents import Item
from zato_lite.builtin.enmasse import (
    compare,
    definitions_of,
    difference,
    document,
    parse,
    right_definitions_of,
)
from zato_lite.errors import BadInputError
from zato_lite.timetable.zone import parse_moment

NOW = parse_moment("2026-11-23 12:00:00", None)
YAML = """\
scheduler:
  - name: crm.sync-contacts
    service: demo.sleep
    job_type: interval_based
    start_date: 2025-06-15 08:00:00
    seconds: 8
    repeats: 5
    jitter_ms: 2000
    timezone: Europe/Prague
    max_execution_time_ms: 3000
    on_success_service: demo.ping
    on_error_job: other.job
    extra: '{"seconds": 3}'
  - name: report-$STAGE
    service: demo.ping
    job_type: cron_style
    cron_definition: 0 2 * * *
    extra:
      - a=1
      - b=${SECRET}
      - price=5$$
"""
ENVIRON = {"STAGE": "prod", "SECRET": "s3"}


def _definitions() -> list[dict[str, Any]]:
    return parse(YAML, ENVIRON)


def test_an_enmasse_document_is_read_with_the_environments_values() -> None:
    contacts, report = _definitions()

    assert contacts["start_date"] == "2025-06-15 08:00:00"
    assert report["name"] == "report-prod"
    assert report["extra"] == "a=1\nb=s3\nprice=5$"


def test_a_variable_that_is_not_set_is_named_with_its_place() -> None:
    with pytest.raises(BadInputError) as caught:
        parse(YAML, {"STAGE": "prod"})

    assert [error.field for error in caught.value.errors] == ["scheduler[1].extra"]
    assert "SECRET" in str(caught.value)


@pytest.mark.parametrize("broken", ["a: [", "- 1", "scheduler: 1", "scheduler: [1]"])
def test_an_invalid_enmasse_document_is_refused(broken: str) -> None:
    with pytest.raises(BadInputError):
        parse(broken, {})


def test_new_jobs_are_created_active_and_known_ones_compared() -> None:
    [contacts, report] = _definitions()
    before = read({**contacts, "seconds": 9}, NOW)

    found = difference({before.name: before}, [contacts, report], NOW)

    assert [job.name for job in found.creates] == ["report-prod"]
    assert found.creates[0].is_active
    [update] = found.updates
    assert update.changes == {"seconds": (9, 8)}


def test_applying_twice_changes_nothing_and_a_pause_stays() -> None:
    paused = [
        read({**each, "is_active": False, "pause_note": "bank"}, NOW) for each in _definitions()
    ]

    again = difference({job.name: job for job in paused}, _definitions(), NOW + 10**9)

    assert (again.creates, again.updates) == ((), ())
    assert again.unchanged == ("crm.sync-contacts", "report-prod")


def test_what_is_written_out_is_read_in_alike() -> None:
    jobs = [read(each, NOW) for each in _definitions()]

    written = document(jobs)
    again = difference({}, parse(written, {}), 0).creates

    assert sorted(again, key=lambda job: job.name) == sorted(jobs, key=lambda job: job.name)
    assert document(again) == written


def test_all_mistakes_are_reported_and_a_name_is_used_once() -> None:
    [contacts, report] = _definitions()

    with pytest.raises(BadInputError) as caught:
        difference({}, [contacts, {**contacts}, {**report, "timezone": "Mars"}, {}], NOW)

    assert [error.field for error in caught.value.errors] == [
        "name", "timezone", "name", "job_type", "service"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["${NAME}", "$NAME", "Zato_Enmasse_Env.NAME", "a${NAME}", "x=Zato_Enmasse_Env.NAME"]
)
@pytest.mark.parametrize("place", ["extra: '{}'", "extra: ['{}']", "extra: {{a: {{b: '{}'}}}}"])
def test_each_spelling_of_a_variable_works_wherever_it_stands(place: str, text: str) -> None:
    yaml = "scheduler:\n- name: a\n  " + place.format(text)

    [definition] = parse(yaml, {"NAME": "$v"})

    expected = text.replace("${NAME}", "$v").replace("$NAME", "$v")
    expected = expected.replace("Zato_Enmasse_Env.NAME", "$v")
    assert definition["extra"] in (expected, {"a": {"b": expected}})
    for environ, words in (({}, "is not set"), (None, "is not available here")):
        with pytest.raises(BadInputError, match=f"line 3: .*variable NAME {words}"):
            parse(yaml, environ)


def test_what_looks_like_a_variable_survives_export_and_apply() -> None:
    texts = ["Zato_Enmasse_Env.A", "${A} $A $$A ${}", "Zato_Enmasse_Env.", "x$Zato_Enmasse_Env.a"]
    jobs = [
        read({**_definitions()[0], "name": f"n{n}", "extra": text}, NOW)
        for n, text in enumerate(texts)
    ]

    assert [each["extra"] for each in parse(document(jobs), None)] == texts


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("jobs:\n- {name: a}", "line 1: 'jobs' is not a known section; .*`scheduler`"),
        ("\nschedular: []", "line 2: 'schedular' .*did you mean `scheduler`"),
        ("scheduler: []\nx: 1", "line 2: 'x' is not"),
        ("security: []\nchanel_rest: []", "line 2: .*did you mean `channel_rest`"),
        ("scheduler:\n- a", "line 2: an entry must be an object"),
        ("scheduler:\n  a: {hours: 1}", "line 1: `scheduler` must be a list"),
    ],
)
def test_a_wrong_section_is_named_with_its_line(text: str, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        parse(text, {})


def test_other_sections_are_counted() -> None:
    text = "scheduler: []\nsecurity: [{name: a}, {name: b}]\nldap: {a: 1}\noutgoing_rest: []\n"

    assert definitions_of(text, {}).others == {"security": 2, "ldap": 1}


def test_all_mistakes_of_a_document_have_their_lines() -> None:
    text = """\
scheduler:
  - name: one
    service: demo.ping
    job_type: cron
    lunar: 1
  - {name: two, service: demo.ping, job_type: interval_based}

  - name: one
    service: demo.ping
    job_type: interval_based
    hours: 1
    timezone: Mars
  - {name: good, service: demo.ping, job_type: interval_based, hours: 1}
  - name: good
    service: demo.ping
    job_type: interval_based
    hours: 1
"""
    found = compare({}, definitions_of(text, {}).items, NOW)

    assert [job.name for job in found.found.creates] == ["good"]
    assert [(it.message.split(":")[0], it.field) for it in found.mistakes] == [
        ("line 4", "job_type"), ("line 5", "lunar"), ("line 6", "seconds"),
        ("line 12", "timezone"), ("line 14", "name"),
    ]  # fmt: skip
    assert "defined twice, also in line 13" in found.mistakes[-1].message


def test_unknown_sections_are_listed_up_to_a_number() -> None:
    text = "".join(f"k{number}: 1\n" for number in range(1_000))

    found = right_definitions_of(text, None)

    assert 0 < len(found.mistakes) <= 100


def test_a_comparison_stops_after_the_wanted_number_of_mistakes() -> None:
    looked_at = 0

    def wrong() -> Iterator[Item]:
        nonlocal looked_at
        for _ in range(1_000):
            looked_at += 1
            yield Item({}, 0, {})

    found = compare({}, wrong(), 0, max_mistakes=100)

    assert 100 <= len(found.mistakes) < 110
    assert looked_at <= 101
