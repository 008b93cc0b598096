"""No request of at most a mebibyte holds the event loop for longer than its budget."""

import asyncio

import pytest

from tests.loop_budget import Case, all_cases, measured, own_inputs, served
from zato_lite.builtin.deploy import built_in_services

_LARGEST = 1024 * 1024
_FAST = (
    "job.export",
    "job.get-audit",
    "job.get-list",
    "job.get-current-state",
    "job.simulate",
    "job.create-many",
)


def test_every_built_in_service_is_measured_with_inputs_of_at_most_a_mebibyte() -> None:
    cases = [*all_cases()]

    services = {case.name for case in cases}
    assert {each.name for each in built_in_services()} <= services
    assert all(len(case.body or b"") <= _LARGEST for case in cases)


async def test_large_answers_of_a_small_store_are_within_the_budget() -> None:
    names = [f"zato.scheduler.{name}" for name in _FAST]
    async with served(jobs=2_000, runs=10_000) as client:
        for name in names:
            for label, payload in own_inputs(name):
                case = Case.of(name, label, payload)
                figure = await measured(client, case)
                # Coverage and other tests make it longer; the slow test below has the limit.
                assert figure.longest_ms <= 4 * case.limit_ms, (name, label)


@pytest.mark.slow
async def test_every_built_in_service_is_within_the_budget() -> None:
    exceeded = []
    async with served(jobs=20_000, runs=200_000) as client:
        for case in all_cases():
            figure = await measured(client, case)
            assert figure.status != 413, case.label
            if figure.longest_ms > case.limit_ms:
                exceeded.append((case.path, case.label, round(figure.longest_ms)))
            await asyncio.sleep(0)

    assert exceeded == []
