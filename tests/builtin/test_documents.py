"""Documents: YAML and JSON by the same rules, with line numbers and limits."""

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from zato_lite.builtin.documents import read_document, write_document
from zato_lite.errors import BadInputError

pytestmark = pytest.mark.usefixtures("without_collector")

TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | TEXTS | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("scheduler:\n- {name: a}\nscheduler:\n- {name: b}\n", 3),
        ("scheduler:\n- name: a\n  hours: 1\n  name: b\n", 4),
        ('{"scheduler": [{"name": "a",\n"name": "b"}]}', 2),
        ('{"scheduler": [],\n\n"scheduler": []}', 3),
        ("scheduler:\n- extra: {a: [{b: 1,\n    b: 2}]}\n", 3),
        ("a:\n  'b': 1\n  \"b\": 2\n", 3),
        ("a:\n  1: x\n  0x1: y\n", 3),
        ("a: {yes: 1, true: 2}", 1),
        ("base: &base {a: 1}\nother:\n  <<: *base\n  b: 1\n  b: 2\n", 5),
        ("? x\n: 1\n? x\n: 2\n", 3),
    ],
)
def test_a_key_that_comes_twice_is_refused_with_its_line(text: str, line: int) -> None:
    with pytest.raises(BadInputError, match=rf"line {line}, .*duplicate key"):
        read_document(text)


def test_a_merge_may_override_keys_also_when_its_source_is_a_merge() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b\n  <<: *a\n  x: 2\nc:\n  <<: [*b, *a]\n  x: 3\n"

    assert read_document(text).values["c"] == {"x": 3, "y": 1}


@pytest.mark.parametrize(
    "text", ["a: [", "a: b: c", "\ta: 1", "a: &x 1\nb: *y", "a: 1\n---\nb: 2", "a: !!python/x 1",
             "a: '\x00'", "[1]", "text", "5"],
)  # fmt: skip
def test_a_document_that_is_not_valid_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        read_document(text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000, "{a: " * 100_000, "- " * 100_000, "a: " + "[" * 101 + "]" * 101,
        "a: " + '{"a": ' * 101 + "1" + "}" * 101,
        "\n".join(" " * level + "a:" for level in range(200)),
    ],
)  # fmt: skip
def test_deep_nesting_is_refused_at_little_cost(text: str) -> None:
    began = time.process_time()
    with pytest.raises(BadInputError, match=r"nest"):
        read_document(text)
    assert time.process_time() - began < 1


def test_aliases_cannot_grow_without_end() -> None:
    lines = ["a0: &a0 [" + "x," * 100 + "]"]
    lines += [f"a{n}: &a{n} [" + f"*a{n - 1}," * 100 + "]" for n in range(1, 8)]

    with pytest.raises(BadInputError, match="aliases"):
        read_document("\n".join(lines))


@pytest.mark.parametrize("text", ["a: &a [*a]", "a: &a {b: *a}"])
def test_an_alias_of_itself_is_refused(text: str) -> None:
    with pytest.raises(BadInputError):
        read_document(text)


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "{}", "---\n", "null"])
def test_a_document_without_keys_is_empty(text: str) -> None:
    assert read_document(text).values == {}


def test_each_item_knows_its_lines() -> None:
    document = read_document(
        "# x\nscheduler:\n  - name: a\n    hours: 1\n  -\n    name: b\n  - 5\n"
    )

    assert document.lines == {"scheduler": 2}
    assert [(it.line, dict(it.lines)) for it in document.items["scheduler"]] == [
        (3, {"name": 3, "hours": 4}), (6, {"name": 6}), (7, {}),
    ]  # fmt: skip


def test_dates_stay_text() -> None:
    values = read_document("a: 2026-01-01\nb: 2026-01-01 08:00:00\n").values

    assert values == {"a": "2026-01-01", "b": "2026-01-01 08:00:00"}


@given(content=st.dictionaries(TEXTS, JSON, max_size=4), ascii_only=st.booleans(),
       indent=st.sampled_from([None, 2, "\t"]))  # fmt: skip
def test_json_is_read_as_it_is_written(content: Any, ascii_only: bool, indent: Any) -> None:
    text = json.dumps(content, ensure_ascii=ascii_only, indent=indent)

    assert read_document(text).values == content


def test_escaped_surrogates_and_backslashes_of_json_are_kept_apart() -> None:
    content = {"a": "\U0001f600", "b": "\\ud83d\\ude00", "c": "\\\U0001f600"}

    assert read_document(json.dumps(content)).values == content


@given(content=st.dictionaries(TEXTS, JSON, max_size=4))
def test_what_is_written_is_read_alike(content: Any) -> None:
    assert read_document(write_document(content)).values == content


def test_5000_jobs_are_read_by_the_fast_parser() -> None:
    jobs = [{"name": f"job {n}", "service": "demo.ping", "minutes": 5} for n in range(5_000)]
    text = write_document({"scheduler": jobs})

    began = time.process_time()
    document = read_document(text)

    assert yaml.__with_libyaml__
    assert document.values == {"scheduler": jobs}
    assert time.process_time() - began < 3


def test_a_number_to_base_60_is_not_read_in_quadratic_time() -> None:
    with pytest.raises(BadInputError, match="line 1, column 12: a number too long"):
        read_document("scheduler: 1" + ":1" * 300_000)
