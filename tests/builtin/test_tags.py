"""Tags and descriptions of jobs: in definitions, files and filters."""

from typing import Any

import pytest

from tests.builtin.conftest import ask, create_job
from zato_lite.errors import BadInputError
from zato_lite.testing.app import Sandbox


async def test_tags_are_sorted_and_each_kept_once(box: Sandbox) -> None:
    job_id = await create_job(
        box, tags=["nightly", "billing", "nightly"], description="Sends.\nAll"
    )

    job = await ask(box, "get-by-id", id=job_id)

    assert (job["tags"], job["description"]) == (["billing", "nightly"], "Sends.\nAll")


@pytest.mark.parametrize(
    ("sent", "tags"), [("b, a", ["a", "b"]), (["Rückruf"], ["Rückruf"]), ([], None), ("", None)]
)
async def test_tags_may_be_a_text_with_commas(
    box: Sandbox, sent: Any, tags: list[str] | None
) -> None:
    job_id = await create_job(box, tags=sent)

    assert (await ask(box, "get-by-id", id=job_id)).get("tags") == tags


@pytest.mark.parametrize(
    "tags",
    [5, {}, [""], ["a,b"], ['a"b'], ["a\\b"], [["a"]], ["x" * 51], [*"abcdefghijklmnopqrstu"],
     ["a\u202eb"], ["a\x00"], True],
)  # fmt: skip
async def test_wrong_tags_are_refused(box: Sandbox, tags: Any) -> None:
    with pytest.raises(BadInputError, match="tags"):
        await create_job(box, tags=tags)


@pytest.mark.parametrize("description", ["x" * 4_001, 5, ["a"], "\ud800"])
async def test_a_wrong_description_is_refused(box: Sandbox, description: Any) -> None:
    with pytest.raises(BadInputError, match="description"):
        await create_job(box, description=description)


async def test_an_edit_replaces_and_clears_them(box: Sandbox) -> None:
    job_id = await create_job(box, tags=["a"], description="d")

    await ask(box, "edit", id=job_id, tags=["b"])
    changed = await ask(box, "get-by-id", id=job_id)
    await ask(box, "edit", id=job_id, tags=None, description=None)
    cleared = await ask(box, "get-by-id", id=job_id)

    assert (changed["tags"], changed["description"]) == (["b"], "d")
    assert "tags" not in cleared
    assert "description" not in cleared


async def test_they_survive_an_export(box: Sandbox) -> None:
    await create_job(box, tags=["a b", "c"], description="costs $5: ${HOME}\n- all")
    exported = await ask(box, "export")

    applied = await ask(box, "apply", document=exported["document"])
    await ask(box, "delete-many", names=["often"])
    await ask(box, "apply", document=exported["document"])

    assert applied["unchanged"] == ["often"]
    assert await ask(box, "export") == exported


async def test_a_tag_selects_jobs_in_lists_and_bulk_services(box: Sandbox) -> None:
    words = 'a "billing" job, "tags":["billing"]'
    jobs: dict[str, dict[str, Any]] = {
        "a": {"tags": ["billing", "x"]}, "b": {"tags": ["billings"], "description": words},
        "c": {"tags": ["x"], "extra": words}, "billing": {},
    }  # fmt: skip
    for name, more in jobs.items():
        await create_job(box, name=name, **more)

    listed = await ask(box, "get-list", tag="billing")
    names = [job["name"] for job in await ask(box, "get-list", tag="name")]
    paused = await ask(box, "pause-many", tag="x", expected=2)

    assert [job["name"] for job in listed] == ["a"]
    assert (names, paused["names"]) == ([], ["a", "c"])
