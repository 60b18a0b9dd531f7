from stream.broadcast import Broadcast
from stream.caption_event import CaptionEvent
from stream.recent_captions import RecentCaptions, name_of
from tests.events import event


def test_what_came_after_a_caption_is_found_by_its_name() -> None:
    captions: Broadcast[CaptionEvent] = Broadcast()
    recent = RecentCaptions(captions)
    said = [
        event(f"Picture {number}", number / 2, "yard" if number % 3 else "door")
        for number in range(9)
    ]
    for each in said:
        captions.publish(each)

    assert len({name_of(each) for each in said}) == 9
    assert recent.after(name_of(said[4])) == said[5:]
    assert recent.after(name_of(said[-1])) == []
    assert recent.after(name_of(event("Another", 100))) is None
    assert recent.after("") is None


def test_no_more_than_so_many_are_kept() -> None:
    captions: Broadcast[CaptionEvent] = Broadcast()
    recent = RecentCaptions(captions)
    for number in range(1000):
        captions.publish(event("A dog", number))

    assert recent.after(name_of(event("A dog", 0))) is None
    assert len(recent.after(name_of(event("A dog", 900))) or ()) == 99


def test_a_stream_that_begins_anew_names_its_captions_otherwise() -> None:
    assert name_of(event("A dog", 0, seq=3)) != name_of(event("A dog", 60, seq=3))
