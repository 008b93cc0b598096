"""The plugin of pytest, as it runs in a user's project."""

import textwrap
from pathlib import Path

import pytest

from tests.test_docs_examples import write_examples

OPTIONS = ("-p", "no:cacheprovider")  # the plugin is loaded by its entry point
SERVICES = """
    from zato_lite import Service, every

    class Tick(Service):
        schedule = every(hours=1)
        async def handle(self):
            return 1
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.mkdir("services").joinpath("kit_tick.py").write_text(textwrap.dedent(SERVICES))
    pytester.mkdir("tests")
    return pytester


def write_test(project: pytest.Pytester, text: str, name: str = "tests/test_a.py") -> None:
    (project.path / name).write_text(textwrap.dedent(text))


@pytest.mark.parametrize(
    "mode", ["--asyncio-mode=strict", "--asyncio-mode=auto", "--anyio-mode=auto"]
)
def test_async_tests_of_a_project_need_no_configuration(
    project: pytest.Pytester, mode: str
) -> None:
    write_test(
        project,
        """
        from datetime import UTC, datetime
        import pytest
        from services.kit_tick import Tick
        from zato_lite.testing import sandbox

        async def test_the_fixture(it):
            await it.advance("3h")
            assert len(await it.runs("kit-tick.tick")) == 3
            assert await it.invoke(Tick) == 1

        @pytest.mark.sandbox(at=datetime(2030, 1, 1, tzinfo=UTC))
        async def test_the_marker(it):
            assert it.now.year == 2030

        async def test_the_function():
            async with sandbox(Tick) as it:
                assert await it.invoke(Tick) == 1

        @pytest.fixture
        def year(it):
            return it.now.year

        class TestMethods:
            async def test_a_fixture_upon_it(self, year):
                assert year == 2027

            @pytest.fixture
            async def later(self, it):
                await it.advance("1h")
                return it

            async def test_an_async_fixture_of_a_class(self, later):
                assert len(await later.runs("kit-tick.tick")) == 1

        @pytest.fixture
        async def opened():
            async with sandbox(Tick) as it:
                yield it

        async def test_an_async_fixture_with_a_sandbox(opened):
            assert await opened.invoke(Tick) == 1

        @pytest.mark.anyio
        @pytest.mark.parametrize("anyio_backend", ["asyncio"])
        async def test_anyio(it, anyio_backend):
            assert await it.invoke(Tick) == 1
        """,
    )

    found = project.runpytest_inprocess(*OPTIONS, mode, "--strict-markers")

    found.assert_outcomes(passed=7)
    assert "warning" not in found.stdout.str()


def test_other_tests_are_left_as_they_are(project: pytest.Pytester) -> None:
    write_test(
        project,
        """
        async def test_unmarked():
            pass

        def test_plain():
            pass
        """,
        "tests/test_b.py",
    )

    found = project.runpytest_inprocess(*OPTIONS)

    found.assert_outcomes(passed=1, failed=1)
    found.stdout.fnmatch_lines(["*async def functions are not natively supported*"])


def test_a_broken_jobs_file_fails_the_tests_of_the_project(project: pytest.Pytester) -> None:
    project.mkdir("config").joinpath("jobs.yaml").write_text("scheduler: [{name: a}]")
    write_test(project, "async def test_a(it): pass")

    found = project.runpytest_inprocess(*OPTIONS)

    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*ConfigError: *jobs.yaml: line 1: a: Missing*"])


def test_a_test_outside_of_projects_has_a_sandbox_without_one(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile("async def test_a(it): assert (await it.invoke('zato.ping'))")

    found = pytester.runpytest_inprocess(*OPTIONS)

    found.assert_outcomes(passed=1)


def test_the_examples_of_the_documentation_pass(pytester: pytest.Pytester) -> None:
    write_examples("testing.md", Path(pytester.path))

    found = pytester.runpytest_inprocess(*OPTIONS, "-W", "error")

    outcomes = found.parseoutcomes()
    assert outcomes.keys() == {"passed"}
    assert outcomes["passed"] >= 4
