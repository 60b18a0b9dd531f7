"""A short run of `python -m tests.soak.cluster`, and tests of its verdicts."""

import subprocess
import sys

import pytest

from tests.soak.cluster.record import Committed, Follower, Record
from tests.support.servers.server_process import ROOT


def test_a_cluster_survives_a_killed_server_and_a_cut_network() -> None:
    size = ("--servers", "2", "--feeds", "2", "--kills", "2")
    kinds = ("--kind", "server killed", "--kind", "network cut")
    done = subprocess.run(
        [sys.executable, "-m", "tests.soak.cluster", *size, *kinds],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    if done.returncode == 2:
        pytest.skip(done.stderr.strip())

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("captions everywhere after") == 4
    assert "All met." in done.stdout


def captions(*times: float, token: int = 1) -> list[Committed]:
    return [Committed(f"yard-{round(1000 * time)}", "yard", token, time) for time in times]


def follower(committed: list[Committed]) -> Follower:
    ids, times = [each.id for each in committed], [each.captured for each in committed]
    return Follower(1, 100.0, 130.0, ids, {"yard": times})


def test_a_cluster_that_keeps_its_promises_has_no_failures() -> None:
    committed = captions(*range(100, 110)) + captions(*range(116, 130), token=2)
    record = Record(committed, [follower(committed)])

    assert record.failures() == []
    assert record.longest_gaps_s() == {"yard": 7}


def test_a_feed_with_two_captioners_is_a_failure() -> None:
    record = Record(captions(101, 102) + captions(101.5, 103, token=2))
    assert "captioned by two servers" in record.failures()[0]
    many = [100 + 0.1 * number for number in range(20)]
    assert "had 20 captions" in Record(followers=[follower(captions(*many))]).failures()[0]


def test_a_feed_without_a_captioner_is_a_failure_unless_the_database_was_away() -> None:
    record = Record(captions(100, 115))
    assert record.failures() == ["yard was captioned by nobody for 15.0 s"]
    record.outages.append((103, 109))
    assert record.failures() == []


def test_captions_that_are_lost_repeated_or_out_of_order_are_failures() -> None:
    committed = captions(*range(103, 128))
    lost = Record(committed, [follower(committed[:5] + committed[6:])])
    repeated = Record(committed, [follower(committed[:5] + committed[4:])])
    mixed = Record(committed, [follower([*committed[:5], committed[6], committed[5]])])
    mixed.followers[0].ended = 112

    assert "did not send 1 captions, such as yard-108000" in lost.failures()[0]
    assert "sent 1 captions twice" in repeated.failures()[0]
    assert any("out of order" in each for each in mixed.failures())


def test_being_logged_out_is_a_failure() -> None:
    assert Record(logged_out=["logged out at server 1"]).failures()
