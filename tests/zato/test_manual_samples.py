"""The list of samples of Zato's manuals, and the program that makes it."""

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.zato.manual_samples import LIST, Sample, blocks, differences, main, samples

HEADER, *ROWS = [line.split("\t") for line in LIST.read_text("utf-8").splitlines()]
MANUALS = os.environ.get("ZATO_MANUALS", "")

PAGE = """
Title
=====

::

  from zato.server.service import Service

  class MyService(Service):
      def handle(self):
          pass

.. code-block:: python
   :linenos:

   class Other(JSONAdapter):
       outconn = 'x'

Output:

::

   INFO - nothing

.. note::

   Inside:

   ::

      class Inner(Service): pass
"""


def test_at_least_three_of_four_samples_run_and_no_other_is_unclear() -> None:
    counts = Counter(kind for _, _, _, kind, _ in ROWS)

    assert HEADER == ["page", "block", "sha256", "class", "reason"]
    assert set(counts) == {"runs", "refused", "asks", "excluded"}
    assert counts["runs"] / (len(ROWS) - counts["excluded"]) >= 0.75
    assert len(ROWS) >= 213
    assert len({row[2] for row in ROWS}) == len(ROWS)
    assert all(why or kind == "runs" for _, _, _, kind, why in ROWS)


def test_the_blocks_of_a_page_that_define_a_service_are_found(tmp_path: Path) -> None:
    for version in ("3.1", "3.2"):
        folder = tmp_path / version / "sphinx" / "sso"
        folder.mkdir(parents=True)
        (folder.parent / "page.txt").write_text(PAGE)
        (folder / "page.txt").write_text("::\n\n  class SSO(Service): pass\n")

    found = samples(tmp_path)

    assert [(each.page, each.number) for each in found] == [
        ("3.1/sphinx/page.txt", 1), ("3.1/sphinx/page.txt", 2), ("3.1/sphinx/page.txt", 5),
    ]  # fmt: skip
    assert found[0].text.endswith("\n        pass")
    assert found[2].text == "class Inner(Service): pass"
    assert len([*blocks(PAGE)]) == 5


@pytest.mark.parametrize(
    ("page", "text", "gateway"),
    [
        ("a.txt", "self.outgoing.zmq.send('x')", "ZeroMQ"),
        ("a.txt", "self.out.rest['x']", ""),
        ("progguide/xml.txt", "self.request.payload.cust.id", "XML channels"),
        ("progguide/json.txt", "self.request.payload.cust.id", ""),
    ],
)
def test_a_sample_is_excluded_for_its_gateway(page: str, text: str, gateway: str) -> None:
    assert Sample(page, 1, text).gateway == gateway


def test_a_difference_from_the_list_is_named() -> None:
    listed = ["page\tblock\tsha256\tclass\treason", "a\t1\tabc\truns\t"]

    assert [*differences(["a\t1\tabc\truns\t"], listed)] == []
    assert [*differences(["a\t1\tabc\tfails\twhy"], listed)] == [
        "a:1 is fails, and runs in the list: why"
    ]


@pytest.mark.slow
@pytest.mark.skipif(
    not MANUALS,
    reason="set ZATO_MANUALS to a checkout of https://github.com/zatosource/zato-docs",
)
def test_the_samples_are_what_the_list_says() -> None:
    assert main([MANUALS]) == 0
