"""Recent captions of published streams."""

import gc

import pytest

from stream.broadcast import Broadcast
from stream.captioning.event import CaptionEvent
from stream.publishing.publications import (
    Publications,
    RecentCaptions,
    RecentSpan,
    RecentSpans,
)
from tests.support.captions import caption_event


def test_captions_after_an_id_are_returned() -> None:
    captions: Broadcast[CaptionEvent] = Broadcast()
    recent = RecentCaptions(captions)
    events = [
        caption_event(f"Frame {number}", number / 2, "yard" if number % 3 else "door")
        for number in range(9)
    ]
    for each in events:
        captions.publish(each)

    assert len({each.id for each in events}) == 9
    assert recent.after(events[4].id) == events[5:]
    assert recent.after(events[-1].id) == []
    assert recent.after(caption_event("Another", 100).id) is None
    assert recent.after("") is None


def test_the_number_of_kept_captions_is_limited() -> None:
    captions: Broadcast[CaptionEvent] = Broadcast()
    recent = RecentCaptions(captions)
    for number in range(1000):
        captions.publish(caption_event("A dog", number))

    assert recent.after(caption_event("A dog", 0).id) is None
    assert len(recent.after(caption_event("A dog", 900).id) or ()) == 99


def test_a_restarted_stream_has_captions_with_other_ids() -> None:
    assert caption_event("A dog", 0, seq=3).id != caption_event("A dog", 60, seq=3).id


def test_spans_of_the_last_ten_minutes_are_kept_and_older_ones_freed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publications = Publications()
    recent = RecentSpans(publications)
    for second in range(1800):
        event = caption_event(f"Frame {second}", second, "yard")
        monkeypatch.setattr(
            "stream.publishing.publications.boottime", lambda event=event: event.captured_boottime
        )
        publications.captions.publish(event)

    texts = [each.span.text for each in recent.spans("yard")]
    assert texts == [f"Frame {second}" for second in range(1799 - len(texts) + 1, 1800)]
    assert 600 <= len(texts) <= 602
    gc.collect()
    kept = sum(isinstance(each, RecentSpan) for each in gc.get_objects())
    assert kept <= len(texts) + 1
