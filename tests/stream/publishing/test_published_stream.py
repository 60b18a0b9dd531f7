"""Streams that another process captions: reports, captions, viewers and pictures."""

import json
from dataclasses import replace

import pytest

from stream.captioned_stream import Signal, SignalState
from stream.captioning import CaptionEvent
from stream.publishing import (
    CaptionedElsewhere,
    NameTaken,
    Publications,
    RemoteStream,
    SignalChange,
    StreamReport,
    subscribe,
)
from tests.support.captions import caption_event

LIVE = Signal(SignalState.LIVE, 1_700_000_000.0)
REPORT = StreamReport("The yard", "feed", 2.0, "words", 1, LIVE)


async def picture() -> bytes:
    return b"JPEG"


def remote(watched: list[int] | None = None) -> RemoteStream:
    watch = watched.append if watched is not None else lambda viewers: None
    return RemoteStream("yard", REPORT, read_picture=picture, watch=watch)


def test_an_event_is_the_same_after_its_json() -> None:
    event = replace(caption_event("A dog runs", 3.5, "yard"), note="clock 12:00", pts=90_000)

    assert CaptionEvent.from_json(json.loads(json.dumps(event.to_json()))) == event


def test_a_report_is_the_same_after_its_json() -> None:
    lost = replace(REPORT, signal=Signal(SignalState.LOST, 1_700_000_000.125, "no route"))

    assert StreamReport.from_json(json.loads(json.dumps(lost.to_json()))) == lost
    assert StreamReport.of(remote()) == REPORT


async def test_a_remote_stream_is_read_like_any_other() -> None:
    publications, watched = Publications(), list[int]()
    stream = remote(watched)
    publications.add(stream)
    lost = Signal(SignalState.LOST, 1_700_000_001.0, "no route")

    with subscribe(publications, stream, 10) as updates:
        stream.receive(event := caption_event("A dog", 1, "yard"))
        stream.update(replace(REPORT, signal=lost, viewers=2))
        stream.update(replace(REPORT, signal=lost, viewers=3))
        assert updates.take_all() == [
            SignalChange("yard", LIVE),
            event,
            SignalChange("yard", lost),
        ]
        assert watched == [1]
        assert stream.viewers == 3
    assert watched == [1, 0]
    assert (stream.latest_caption, await stream.picture()) == (event, b"JPEG")
    with subscribe(publications, None, 10) as updates:
        assert updates.take_all() == [SignalChange("yard", lost), event]


def test_the_video_of_a_remote_stream_is_elsewhere() -> None:
    publications, stream = Publications(), remote()
    publications.add(stream)

    with pytest.raises(CaptionedElsewhere) as problem:
        publications.find_here("yard")
    assert problem.value.stream is stream
    assert publications.find("yard") is stream


async def test_a_feed_takes_the_place_of_its_stand_in_and_readers_follow() -> None:
    publications, watched = Publications(), list[int]()
    stand_in, own = remote(watched), remote()
    publications.add_stand_in(stand_in)
    with subscribe(publications, stand_in, 10) as updates:
        publications.add(own)
        own.receive(caption_event("A cat sits", 2, "yard"))
        assert publications.find("yard") is own
        assert own.viewers == 1
        publications.remove(own)
        stand_in.receive(caption_event("A dog runs", 3, "yard"))
        assert publications.find("yard") is stand_in
        assert publications.is_stand_in(stand_in)

        received = [each for each in updates.take_all() if isinstance(each, CaptionEvent)]
        assert [each.caption.text for each in received] == ["A cat sits", "A dog runs"]
        assert watched == [1, 0, 1]
        publications.remove_stand_in(stand_in)
        assert updates.take_all() == [SignalChange("yard", None)]
    assert publications.all() == ()


def test_a_session_cannot_take_the_name_of_another_servers_stream() -> None:
    publications = Publications()
    publications.add_stand_in(remote())
    report = replace(REPORT, kind="session")
    with pytest.raises(NameTaken):
        publications.add(RemoteStream("yard", report, read_picture=picture))


def test_captions_that_are_not_accepted_are_not_published() -> None:
    publications, captions = Publications(), list[CaptionEvent]()
    publications.captions.subscribe(captions.append)
    publications.accepts = lambda event: False
    own, stand_in = remote(), RemoteStream("door", REPORT, read_picture=picture)
    publications.add(own)
    publications.add_stand_in(stand_in)
    own.receive(caption_event("A dog runs", 1, "yard"))
    stand_in.receive(caption_event("A cat sits", 2, "door"))

    assert [event.stream for event in captions] == ["door"]
