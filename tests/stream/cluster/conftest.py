"""Clusters whose leases are short, so that the tests are fast."""

import pytest

from stream.cluster import cluster, membership, spread


@pytest.fixture(autouse=True)
def _short_leases(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(membership, "LEASE_S", 2.0)
    monkeypatch.setattr(membership, "HEARTBEAT_S", 0.4)
    monkeypatch.setattr(membership, "_UNCLAIMED_S", 0.8)
    monkeypatch.setattr(cluster, "_APPLY_S", 0.5)
    monkeypatch.setattr(spread, "_SETTLED_S", 0.3)
