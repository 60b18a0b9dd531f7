from dataclasses import replace

from stream.history.search import Reading, Wanted
from stream.history.span import GAP_S, LONGEST_S, Span
from stream.history.store import Store
from tests.support.captions import objects_only, shorter, sure
from tests.support.events import NOON, event

ALL = Wanted()
DOG = sure("A dog runs", dog=0.9)


def spans(store: Store, reading: Reading) -> list[Span]:
    store.note_ends()
    return reading.oldest(ALL, 100, None)


def test_while_a_feed_says_the_same_it_is_one_span(store: Store, reading: Reading) -> None:
    new = [store.add(event(DOG, at)) for at in (0, 2, 4)]
    new.append(store.add(event(replace(DOG, kept=True, confidence=0.9), 6)))

    assert new == [True, False, False, False]
    (span,) = spans(store, reading)
    assert (span.begun, span.ended, span.captions) == (NOON, NOON + 6, 4)
    assert (span.text, span.said, span.confidence) == ("A dog runs", "A dog runs", 0.9)
    assert [(tag.text, tag.prob) for tag in span.tags] == [("dog", 0.9)]


def test_a_span_lasts_until_something_else_is_said(store: Store, reading: Reading) -> None:
    for at, says in ((0, "A dog runs"), (2, "A cat sits"), (4, "A cat sits"), (6, "A dog runs")):
        store.add(event(says, at))

    assert [
        (span.text, span.begun - NOON, span.ended - NOON) for span in spans(store, reading)
    ] == [
        ("A dog runs", 0, 2),
        ("A cat sits", 2, 6),
        ("A dog runs", 6, 6),
    ]


def test_other_objects_or_another_guess_are_something_else(store: Store, reading: Reading) -> None:
    said = [
        sure("A man sits", dog=0.9),
        sure("A man sits", dog=0.8),
        sure("A man sits", cat=0.8),
        shorter("A man sits", "A man sits on a cat", cat=0.8),
        objects_only("A man sits", cat=0.8),
    ]
    for at, caption in enumerate(said):
        store.add(event(caption, at))

    found = spans(store, reading)
    assert [span.captions for span in found] == [2, 1, 1, 1]
    assert found[2].said == "Not sure. Perhaps: a man sits"
    assert (found[2].guess, found[2].fallback) == ("A man sits on a cat", "shorter")


def test_nothing_is_claimed_of_a_time_without_captions(store: Store, reading: Reading) -> None:
    for at in (0, 1, GAP_S + 2):
        store.add(event(DOG, at))

    assert [(span.begun, span.ended) for span in spans(store, reading)] == [
        (NOON, NOON + 1),
        (NOON + GAP_S + 2, NOON + GAP_S + 2),
    ]


def test_a_clock_that_is_set_back_makes_no_span_of_negative_length(
    store: Store, reading: Reading
) -> None:
    for at in (100, 102, 50, 52, 100):
        store.add(event(DOG, at))

    assert all(span.ended >= span.begun for span in spans(store, reading))
    assert sum(span.captions for span in spans(store, reading)) == 5


def test_what_stands_for_hours_is_several_spans(store: Store, reading: Reading) -> None:
    for at in range(0, int(3 * LONGEST_S), 10):
        store.add(event(DOG, at))

    found = spans(store, reading)
    assert len(found) == 3
    assert all(span.ended - span.begun <= LONGEST_S + GAP_S for span in found)
    assert found[0].ended == found[1].begun


def test_feeds_do_not_end_each_others_spans(store: Store, reading: Reading) -> None:
    for at in range(3):
        store.add(event(DOG, at, "yard"))
        store.add(event("A cat sits", at, "door"))

    assert [(span.feed, span.captions) for span in spans(store, reading)] == [
        ("yard", 3),
        ("door", 3),
    ]


def test_after_a_restart_a_new_span_begins(store: Store, reading: Reading) -> None:
    store.add(event(DOG, 0))
    store.add(event(DOG, 3))
    store.close()

    assert [span.ended for span in reading.oldest(ALL, 100, None)] == [NOON + 3]
