from stream.broadcast import Broadcast
from stream.captioning.event import CaptionEvent
from stream.publishing.publications import RecentCaptions
from tests.support.events import event


def test_what_came_after_a_caption_is_found_by_its_id() -> None:
    captions: Broadcast[CaptionEvent] = Broadcast()
    recent = RecentCaptions(captions)
    said = [
        event(f"Picture {number}", number / 2, "yard" if number % 3 else "door")
        for number in range(9)
    ]
    for each in said:
        captions.publish(each)

    assert len({each.id for each in said}) == 9
    assert recent.after(said[4].id) == said[5:]
    assert recent.after(said[-1].id) == []
    assert recent.after(event("Another", 100).id) is None
    assert recent.after("") is None


def test_no_more_than_so_many_are_kept() -> None:
    captions: Broadcast[CaptionEvent] = Broadcast()
    recent = RecentCaptions(captions)
    for number in range(1000):
        captions.publish(event("A dog", number))

    assert recent.after(event("A dog", 0).id) is None
    assert len(recent.after(event("A dog", 900).id) or ()) == 99


def test_a_stream_that_begins_anew_has_captions_of_other_ids() -> None:
    assert event("A dog", 0, seq=3).id != event("A dog", 60, seq=3).id
