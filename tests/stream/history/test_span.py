"""Spans of captions with the same content."""

from dataclasses import replace

from stream.history.query import HistoryQuery
from stream.history.reader import HistoryReader
from stream.history.span import MAX_GAP_S, MAX_SPAN_S, Span
from stream.history.store import Store
from tests.support.captions import (
    BASE_TIME,
    caption_event,
    confident_caption,
    shorter_fallback,
    tags_fallback,
    uncalibrated_caption,
)

ALL = HistoryQuery()
DOG = confident_caption("A dog runs", dog=0.9)


def spans(store: Store, reader: HistoryReader) -> list[Span]:
    store.flush()
    return reader.oldest(ALL, 100, None)


def test_equal_captions_are_one_span(store: Store, reader: HistoryReader) -> None:
    new = [store.add(caption_event(DOG, at)) for at in (0, 2, 4)]
    new.append(store.add(caption_event(replace(DOG, kept=True, confidence=0.9), 6)))

    assert new[0] and new[1:] == [None, None, None]
    (span,) = spans(store, reader)
    assert (span.started, span.ended, span.captions) == (BASE_TIME, BASE_TIME + 6, 4)
    assert (span.text, span.said, span.confidence) == ("A dog runs", "A dog runs", 0.9)
    assert [(tag.text, tag.prob) for tag in span.tags] == [("dog", 0.9)]


def test_the_confidence_of_a_span_is_the_highest_that_is_known(
    store: Store, reader: HistoryReader
) -> None:
    unknown = uncalibrated_caption("A dog runs")
    store.add(caption_event(unknown, 0))
    store.add(caption_event(unknown, 2))
    store.add(caption_event(uncalibrated_caption("A cat sits"), 4))
    store.add(caption_event("A cat sits", 6))

    assert [(span.captions, span.confidence) for span in spans(store, reader)] == [
        (2, None),
        (2, 0.72),
    ]


def test_a_span_lasts_until_a_different_caption(store: Store, reader: HistoryReader) -> None:
    for at, text in ((0, "A dog runs"), (2, "A cat sits"), (4, "A cat sits"), (6, "A dog runs")):
        store.add(caption_event(text, at))

    assert [
        (span.text, span.started - BASE_TIME, span.ended - BASE_TIME)
        for span in spans(store, reader)
    ] == [
        ("A dog runs", 0, 2),
        ("A cat sits", 2, 6),
        ("A dog runs", 6, 6),
    ]


def test_different_objects_or_guesses_start_a_new_span(store: Store, reader: HistoryReader) -> None:
    captions = [
        confident_caption("A man sits", dog=0.9),
        confident_caption("A man sits", dog=0.8),
        confident_caption("A man sits", cat=0.8),
        shorter_fallback("A man sits", "A man sits on a cat", cat=0.8),
        tags_fallback("A man sits", cat=0.8),
    ]
    for at, caption in enumerate(captions):
        store.add(caption_event(caption, at))

    found = spans(store, reader)
    assert [span.captions for span in found] == [2, 1, 1, 1]
    assert found[2].said == "Not sure. Possibly: a man sits"
    assert (found[2].guess, found[2].fallback) == ("A man sits on a cat", "shorter")


def test_spans_do_not_cover_a_time_without_captions(store: Store, reader: HistoryReader) -> None:
    for at in (0, 1, MAX_GAP_S + 2):
        store.add(caption_event(DOG, at))

    assert [(span.started, span.ended) for span in spans(store, reader)] == [
        (BASE_TIME, BASE_TIME + 1),
        (BASE_TIME + MAX_GAP_S + 2, BASE_TIME + MAX_GAP_S + 2),
    ]


def test_a_step_of_the_clock_ends_a_span_and_changes_no_duration(
    store: Store, reader: HistoryReader
) -> None:
    for at, ahead_s in ((0, 0), (2, 0), (4, 50), (6, 50), (8, -100), (10, -100)):
        event = caption_event(DOG, at)
        store.add(replace(event, captured=event.captured + ahead_s))

    assert [
        (span.started - BASE_TIME, span.ended - span.started, span.captions)
        for span in spans(store, reader)
    ] == [(-92, 2, 2), (0, 4, 2), (54, 4, 2)]


def test_a_caption_that_stands_for_long_is_split_into_spans(
    store: Store, reader: HistoryReader
) -> None:
    for at in range(0, int(3 * MAX_SPAN_S), 10):
        store.add(caption_event(DOG, at))

    found = spans(store, reader)
    assert len(found) == 3
    assert all(span.ended - span.started <= MAX_SPAN_S + MAX_GAP_S for span in found)
    assert found[0].ended == found[1].started


def test_spans_of_several_feeds_are_independent(store: Store, reader: HistoryReader) -> None:
    for at in range(3):
        store.add(caption_event(DOG, at, "yard"))
        store.add(caption_event("A cat sits", at, "door"))

    assert [(span.feed, span.captions) for span in spans(store, reader)] == [
        ("yard", 3),
        ("door", 3),
    ]


def test_closing_writes_extended_spans(store: Store, reader: HistoryReader) -> None:
    store.add(caption_event(DOG, 0))
    store.add(caption_event(DOG, 3))
    store.close()

    assert [span.ended for span in reader.oldest(ALL, 100, None)] == [BASE_TIME + 3]
