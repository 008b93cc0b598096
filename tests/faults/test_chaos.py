"""A short turn of ``make chaos``: real servers on a real PostgreSQL, in every run of the tests."""

import pytest

from tests.faults.chaos import FAULTS, opened_cluster

pytestmark = pytest.mark.postgres


def test_no_slot_is_lost_doubled_or_early_when_nodes_die_stand_still_and_change_jobs() -> None:
    with opened_cluster(nodes=2, seed=1) as cluster:
        cluster.start(jobs=6)
        cluster.wait_until_healed()
        for fault in ("changes", "stop-double", "kill"):
            FAULTS[fault](cluster)
            cluster.wait_until_healed()
        refused = sum(node.refused for node in cluster.nodes)

        assert cluster.account() == []
        assert refused > 0
