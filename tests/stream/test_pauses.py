"""Pauses between attempts."""

from stream.rate_limit import Pauses


def test_pauses_double_up_to_the_longest() -> None:
    pauses = Pauses()
    for expected in (1, 2, 4, 8, 16, 32, 60, 60):
        assert 0.8 * expected <= pauses.next_s() <= 1.2 * expected


def test_pauses_begin_anew_when_it_went_well() -> None:
    pauses = Pauses()
    for _ in range(5):
        pauses.next_s()
    pauses.reset()
    assert pauses.next_s() <= 1.2


def test_feeds_that_are_lost_together_do_not_come_back_together() -> None:
    assert len({Pauses().next_s() for _ in range(20)}) == 20
