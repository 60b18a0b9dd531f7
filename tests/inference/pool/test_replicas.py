from inference.pool import ReplicaCounts


def test_captions_are_counted_by_replica_with_their_waits() -> None:
    counts = ReplicaCounts()
    for wait_s in (0.002, 0.02, 0.2):
        counts.count_caption("one", wait_s)
    counts.count_caption("two", 0.3)

    assert {name: waits.cumulative()[-1][1] for name, waits in counts.waits_s.items()} == {
        "one": 3,
        "two": 1,
    }
    assert abs(counts.waits_s["one"].total - 0.222) < 1e-9
    assert (0.025, 2) in counts.waits_s["one"].cumulative()


def test_replicas_that_are_gone_are_counted_together_and_none_is_lost() -> None:
    counts = ReplicaCounts()
    for number in range(100):
        counts.count_caption(f"replica-{number}", 0.01)
        counts.count_caption("steady", 0.01)

    waits = counts.waits_s
    assert len(waits) <= 33
    assert waits["steady"].cumulative()[-1][1] == 100
    assert sum(each.cumulative()[-1][1] for each in waits.values()) == 200
    assert "replica-99" in waits and "replica-0" not in waits


def test_a_name_is_shortened() -> None:
    counts = ReplicaCounts()
    counts.count_caption("x" * 1000, 0.01)

    assert list(counts.waits_s) == ["x" * 40]
