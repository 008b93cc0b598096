from typing import Any

import pytest

from tests.builtin.conftest import Work, ask, create_job
from zato_lite.errors import BadInputError
from zato_lite.testing.app import Sandbox
from zato_lite.wire import encode


def _aps(*jobs: dict[str, Any]) -> str:
    return encode(
        [{"func": "crm.work", "trigger": "interval", "hours": 1, **job} for job in jobs]
    ).decode()


async def _import(box: Sandbox, **sent: Any) -> Any:
    return await ask(box, "import", **sent)


async def test_a_dry_run_rehearses_names_and_the_real_run_agrees(box: Sandbox) -> None:
    await create_job(box, name="taken")
    document = _aps({"id": "taken"}, {"id": "twice"}, {"id": "twice"}, {"id": "free"})

    rehearsed = await _import(box, format="apscheduler", document=document)
    done = await _import(box, format="apscheduler", document=document, dry_run=False)

    assert [entry["errors"] for entry in rehearsed["entries"]] == [
        ["Job `taken` already exists"],
        [],
        ["name: an entry above has the name `twice`, too"],
        [],
    ]
    assert [entry["errors"] for entry in done["entries"]] == [
        entry["errors"] for entry in rehearsed["entries"]
    ]
    assert (rehearsed["created"], done["created"]) == (0, 2)
    names = {job["name"] for job in await ask(box, "get-list")}
    assert names == {"taken", "twice", "free"}


async def test_a_service_or_a_map_of_services_replaces_functions(box: Sandbox) -> None:
    document = _aps(
        {"id": "a", "func": "app:tick", "kwargs": {"x": 1}}, {"id": "b", "func": "app:x"}
    )

    both = await _import(
        box, format="apscheduler", document=document, service="crm.work",
        services={"app:tick": "crm.fail"},
    )  # fmt: skip
    none = await _import(box, format="apscheduler", document=document)

    first, second = (entry["definition"] for entry in both["entries"])
    assert (first["service"], first["extra"]) == ("crm.fail", {"kwargs": {"x": 1}})
    assert (second["service"], second["extra"]) == ("crm.work", {"func": "app:x"})
    assert [entry["errors"] for entry in both["entries"]] == [[], []]
    assert all("app:" in entry["errors"][0] for entry in none["entries"])


async def test_only_the_first_unknown_services_get_suggestions(box: Sandbox) -> None:
    jobs = [{"id": f"n{i}", "func": f"crm.work{i}"} for i in range(100)]

    answer = await _import(box, format="apscheduler", document=_aps(*jobs, *jobs))

    errors = [error for entry in answer["entries"] for error in entry["errors"]]
    assert errors[0] == "Service `crm.work0` does not exist; did you mean `crm.work`?"
    assert errors[99] == "Service `crm.work99` does not exist"
    assert errors[100:] == errors[:100]
    assert sum("did you mean" in error for error in errors) == 2 * 20


async def test_an_imported_job_that_was_paused_stays_paused(box: Sandbox) -> None:
    document = """
    [{"model": "django_celery_beat.intervalschedule", "pk": 1,
      "fields": {"every": 1, "period": "minutes"}},
     {"model": "django_celery_beat.periodictask", "pk": 1,
      "fields": {"name": "off", "task": "crm.work", "interval": 1, "enabled": false}},
     {"model": "django_celery_beat.periodictask", "pk": 2,
      "fields": {"name": "on", "task": "crm.work", "interval": 1, "enabled": true}}]
    """

    done = await _import(box, format="celery", document=document, dry_run=False)
    await box.advance(minutes=5)

    assert done["created"] == 2
    jobs = {job["name"]: job for job in await ask(box, "get-list")}
    assert jobs["off"]["is_active"] is False
    assert jobs["on"]["is_active"] is True
    assert (await ask(box, "get-history", id=jobs["off"]["id"]))["total"] == 0
    assert (await ask(box, "get-history", id=jobs["on"]["id"]))["total"] > 0


@pytest.mark.parametrize(
    ("kind", "document", "reason"),
    [
        ("apscheduler", "{}", "a list `jobs`"),
        ("apscheduler", "x", "JSON"),
        ("celery", "x = 1", "beat_schedule"),
        ("celery", "def f(:", "not valid Python"),
        ("celery", "[]", "fixture of django-celery-beat"),
        ("kubernetes", "a: b", "kind: CronJob"),
        ("kubernetes", "name: {{ .Values.name }}", "templates rendered"),
        ("systemd", "OnCalendar=daily", "section [Timer]"),
        ("systemd", "[Service]\nExecStart=/bin/x", "section [Timer]"),
    ],
)
async def test_a_file_of_another_kind_is_refused_with_the_shape_that_is_expected(
    box: Sandbox, kind: str, document: str, reason: str
) -> None:
    with pytest.raises(BadInputError) as raised:
        await _import(box, format=kind, document=document, service=Work.name)

    assert reason in str(raised.value)


@pytest.mark.parametrize("kind", ["crontab", "kubernetes", "quartz", "systemd"])
async def test_formats_without_services_ask_for_one(box: Sandbox, kind: str) -> None:
    with pytest.raises(BadInputError, match="Missing required input element: service"):
        await _import(box, format=kind, document="x")


@pytest.mark.parametrize("services", [[], "x", {"a": ""}, {"a": 1}, {"a": "b\nc"}, {"a": ["b"]}])
async def test_a_map_of_services_has_names_only(box: Sandbox, services: Any) -> None:
    with pytest.raises(BadInputError, match="services"):
        await _import(
            box, format="apscheduler", document=_aps({"id": "a"}), services=services or ["x"]
        )


async def test_an_interval_without_a_start_begins_one_interval_after_the_import(
    box: Sandbox,
) -> None:
    await _import(box, format="apscheduler", document=_aps({"id": "a"}), dry_run=False)
    [job] = await ask(box, "get-list")

    await box.advance(minutes=59)
    before = (await ask(box, "get-history", id=job["id"]))["total"]
    await box.advance(minutes=2)

    assert before == 0
    assert (await ask(box, "get-history", id=job["id"]))["total"] == 1


@pytest.mark.parametrize(
    "values",
    ["a = 1\n" + "a = [a]\n" * 300, "a = 0x" + "f" * 5_000, "a = '\\ud800'"],
    ids=["deep", "large", "surrogate"],
)
async def test_values_that_json_cannot_hold_are_an_error_of_their_entry(
    box: Sandbox, values: str
) -> None:
    schedule = "beat_schedule = {'x\\ud800': {'task': 'crm.work', 'schedule': 9, 'args': [a]}}"

    answer = await _import(box, format="celery", document=f"{values}\n{schedule}")

    [entry] = answer["entries"]
    assert entry["definition"] is None
    assert "JSON" in entry["errors"][0]
    encode(answer)


async def test_a_document_of_too_many_entries_is_refused_and_nothing_is_created(
    box: Sandbox,
) -> None:
    line = "* * * * * c\n"

    with pytest.raises(BadInputError, match="more than 10,000 entries"):
        await _import(
            box, format="crontab", service="crm.work", document=line * 10_001, dry_run=False
        )

    assert await ask(box, "get-list") == []
