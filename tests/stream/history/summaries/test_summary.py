"""Summaries of past captions, in SQLite and in PostgreSQL."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from inference.captioning.caption import Caption
from models.language import tokenize
from stream.history import HistoryQuery, summary_text
from stream.history.reader import HistoryReader
from stream.history.store import Store
from tests.support.captions import (
    BASE_TIME,
    caption_event,
    confident_caption,
    shorter_fallback,
    tags_fallback,
    uncalibrated_caption,
)

STREET = confident_caption("An empty street")
DOG = confident_caption("A dog on the street")
DOGS = confident_caption("Two dogs run down a road")


def keep(
    store: Store, *captions: tuple[int, Caption], feed: str = "yard", every_s: float = 10.0
) -> None:
    """Store captions of a feed, each of them some times, beginning at `BASE_TIME`."""
    number = 0
    for count, caption in captions:
        for _ in range(count):
            store.add(caption_event(caption, every_s * number, feed))
            number += 1
    store.flush()


def summarize(
    reader: HistoryReader, begin: float = 0, end: float = 3600, feed: str | None = "yard"
) -> dict[str, Any]:
    body = reader.summary(HistoryQuery(feed, BASE_TIME + begin, BASE_TIME + end), by_hour=True)
    assert (body["from"], body["to"]) == (BASE_TIME + begin, BASE_TIME + end)
    (summary,) = body["feeds"]
    return dict(summary)


def objects(summary: dict[str, Any]) -> dict[str, tuple[float, int]]:
    return {each["text"]: (each["seconds"], each["times"]) for each in summary["objects"]}


def changes(summary: dict[str, Any]) -> list[tuple[float, list[str], list[str]]]:
    return [(each["at"] - BASE_TIME, each["appeared"], each["gone"]) for each in summary["changes"]]


def names(objects: Iterable[dict[str, Any]]) -> list[str]:
    return [each["text"] for each in objects]


def test_it_states_what_was_there_for_how_long_and_what_changed(
    store: Store, reader: HistoryReader
) -> None:
    keep(store, (12, STREET), (6, DOG), (12, STREET), (1, STREET))

    summary = summarize(reader)

    assert (summary["captions"], summary["captioned_s"]) == (31, 300)
    assert objects(summary) == {"street": (300, 1), "dog": (60, 1)}
    assert changes(summary) == [(120, ["dog"], []), (180, [], ["dog"])]
    assert summary_text(summary) == "5 min of captions. Street: 5 min. Dog: 1 min."


def test_inflections_and_synonyms_are_added_up(store: Store, reader: HistoryReader) -> None:
    keep(store, (7, DOGS), (4, DOG), (1, STREET))

    assert objects(summarize(reader)) == {"road": (110, 1), "dogs": (110, 1)}


def test_a_short_silence_is_no_change(store: Store, reader: HistoryReader) -> None:
    keep(store, (10, STREET), (3, DOG), (5, STREET), (3, DOG), (20, STREET))

    summary = summarize(reader)

    assert objects(summary)["dog"] == (60, 1)
    assert changes(summary) == [(100, ["dog"], []), (210, [], ["dog"])]


def test_a_longer_silence_is_two_changes(store: Store, reader: HistoryReader) -> None:
    keep(store, (10, DOG), (12, STREET), (10, DOG), (1, STREET))

    summary = summarize(reader)

    assert objects(summary)["dog"] == (200, 2)
    assert changes(summary) == [(100, [], ["dog"]), (220, ["dog"], [])]


def test_a_doubted_caption_counts_for_nothing_but_its_tags_do(
    store: Store, reader: HistoryReader
) -> None:
    cat = replace(shorter_fallback("A cat", "A cat on a sofa"), tags=())
    keep(store, (3, cat), (3, tags_fallback("A dog on a sofa", laptop=0.9)), (1, STREET))

    summary = summarize(reader)

    assert summary["unsure_s"] == summary["captioned_s"] == 60
    assert objects(summary) == {"laptop": (30, 1), "street": (0, 1)}
    assert summary_text(summary).endswith("Not sure for 1 min.")


def test_what_doubted_captions_do_not_mention_is_not_gone(
    store: Store, reader: HistoryReader
) -> None:
    doubted = shorter_fallback("A man", "A man on a chair")
    keep(store, (10, DOG), (15, doubted), (10, DOG), (15, doubted), (10, STREET))

    summary = summarize(reader)

    assert objects(summary)["dog"] == (200, 1)
    assert changes(summary) == []


def test_what_was_there_at_the_start_or_after_an_interruption_did_not_appear(
    store: Store, reader: HistoryReader
) -> None:
    keep(store, (10, DOG))
    for number in range(10):
        store.add(caption_event(STREET, 1000 + 10 * number))
    for number in range(10):
        store.add(caption_event(DOG, 3000 + 10 * number))
    store.flush()

    summary = summarize(reader)

    assert objects(summary)["dog"] == (180, 2)
    assert changes(summary) == []


def test_a_tag_of_a_doubted_caption_after_an_interruption_did_not_appear(
    store: Store, reader: HistoryReader
) -> None:
    keep(store, (10, STREET))
    for number in range(10):
        store.add(caption_event(tags_fallback("A desk", laptop=0.9), 1000 + 10 * number))
    store.flush()

    summary = summarize(reader)

    assert objects(summary)["laptop"] == (90, 1)
    assert changes(summary) == []


def test_blank_and_uncalibrated_captions_are_stated(store: Store, reader: HistoryReader) -> None:
    blank = replace(confident_caption(""), fallback="blank", words=())
    keep(store, (3, blank), (5, uncalibrated_caption("A man")), (1, STREET))

    summary = summarize(reader)

    assert (summary["blank_s"], summary["uncalibrated_s"]) == (30, 50)
    assert objects(summary)["man"] == (50, 1)


def test_captions_that_stand_alone_are_counted(store: Store, reader: HistoryReader) -> None:
    keep(store, (3, DOG), every_s=300)

    summary = summarize(reader)

    assert objects(summary) == {"dog": (0, 1), "street": (0, 1)}
    assert summary_text(summary) == "3 captions. Dog: 3 captions. Street: 3 captions."


def test_a_period_cuts_the_spans_at_its_ends(store: Store, reader: HistoryReader) -> None:
    keep(store, (20, DOG), (1, STREET))

    summary = summarize(reader, 55, 100)

    assert summary["captioned_s"] == 45
    assert objects(summary) == {"dog": (45, 1), "street": (45, 1)}
    assert summary["objects"][0]["first"] == BASE_TIME + 55


def test_each_hour_has_a_summary_of_its_own(store: Store, reader: HistoryReader) -> None:
    keep(store, (8, STREET), (10, DOG), (8, STREET), every_s=25)

    summary = reader.summary(
        HistoryQuery(None, BASE_TIME - 3300, BASE_TIME + 10_800), by_hour=True
    )["feeds"][0]

    hours = [(hour["from"] - BASE_TIME, hour["captioned_s"]) for hour in summary["hours"]]
    assert hours == [(-3300, 300), (300, 325)]
    assert [objects(hour)["dog"][0] for hour in summary["hours"]] == [100, 150]
    assert [changes(hour) for hour in summary["hours"]] == [
        [(200, ["dog"], [])],
        [(450, [], ["dog"])],
    ]
    assert objects(summary)["dog"] == (250, 1)


def test_feeds_are_summarized_apart(store: Store, reader: HistoryReader) -> None:
    keep(store, (3, DOG), feed="yard")
    keep(store, (3, STREET), feed="door")

    body = reader.summary(HistoryQuery(None, BASE_TIME, BASE_TIME + 60))

    assert [(feed["feed"], names(feed["objects"])) for feed in body["feeds"]] == [
        ("door", ["street"]),
        ("yard", ["dog", "street"]),
    ]
    assert [feed["hours"] for feed in body["feeds"]] == [[], []]


def test_a_summary_is_of_bounded_size(store: Store, reader: HistoryReader) -> None:
    text = "dog cat horse cow sheep elephant giraffe bear bird boat car truck bus train"
    captions = [(9, confident_caption(f"A {thing}")) for thing in tokenize(text)]
    keep(store, *captions, *captions, *captions)

    summary = summarize(reader, 0, 7200)

    assert (len(summary["objects"]), summary["more_objects"]) == (12, 2)
    assert len(summary["changes"]) == 30
    assert summary["more_changes"] > 0
