"""Tests of the model of many feeds, by figures that are computed by hand."""

from dataclasses import replace

import pytest

from tests.bench.thousand_feeds.model import Costs, Plan, bottlenecks, describe, estimate

COSTS = Costs(
    feed_cores=0.04,
    caption_cpu_ms=50,
    frame_bytes=200_000,
    event_bytes=4000,
    database_ms=1,
    database_read_ms=0.1,
    lease_cores=1e-5,
    delivery_ms=1,
    replica_mb=1000,
    camera_mbit=2,
    webhook_ms=10,
)
PLAN = Plan(feeds=1000, interval_s=2, servers=20, fill=0.5)


def test_an_estimate_adds_up() -> None:
    needed = estimate(PLAN, COSTS)

    # 50 feeds, and 475 captions a second of the other servers.
    assert needed.server_cores == pytest.approx(50 * 0.04 + 0.475)
    # 50 cameras, and 25 frames a second.
    assert needed.server_mbit == pytest.approx(100 + 40)
    assert needed.pool_mbit == pytest.approx(800)
    # 500 captions of 50 ms, at half of each core.
    assert needed.replicas == 50
    assert needed.pool_gb == pytest.approx(50)
    # 1 ms to write a caption, 0.1 ms for each of 19 servers that read it, and the leases.
    assert needed.database_cores == pytest.approx(1.45 + 0.2)
    assert needed.log_mb_per_s == pytest.approx(2)
    assert needed.log_gb == pytest.approx(1.8)
    assert needed.deliveries_per_s == 9500
    assert needed.captions_per_day == 43_200_000


def test_one_server_reads_nothing_from_others() -> None:
    needed = estimate(replace(PLAN, servers=1), COSTS)

    assert needed.deliveries_per_s == 0
    assert needed.server_cores == pytest.approx(40)


def test_the_tightest_comes_first() -> None:
    rows = bottlenecks(PLAN, COSTS, cores=16, link_mbit=1000)
    uses = [row.use for row in rows]
    webhook = next(row for row in rows if "webhook" in row.what)

    assert uses == sorted(uses, reverse=True)
    assert webhook.use == pytest.approx(5)
    assert webhook is rows[1] or webhook is rows[0]
    slow = bottlenecks(PLAN, replace(COSTS, database_ms=300), cores=16, link_mbit=1000)
    assert slow[0].what == "cores of the database"


def test_the_tables_name_every_part() -> None:
    lines = dict(describe(PLAN, COSTS))

    assert lines["captions"] == "500 a second, 43 million a day"
    assert all(lines.values())
