"""The jitter buffer of received video."""

import random

import pytest
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from stream.webrtc.h264 import H264Frames
from stream.webrtc.jitter_buffer import LowLatencyJitterBuffer

CAPACITY = 64


def packet(sequence: int, timestamp: int, data: bytes, *, marker: bool = False) -> RtpPacket:
    made = RtpPacket(sequence_number=sequence % 65536, timestamp=timestamp, marker=int(marker))
    made._data = data  # type: ignore[attr-defined]
    return made


def frames(*sizes: int, first: int = 0, marked: bool = True) -> list[RtpPacket]:
    """Return the packets of frames with these packet counts; a packet's data is its index."""
    made: list[RtpPacket] = []
    for timestamp, size in enumerate(sizes):
        for part in range(size):
            place = first + len(made)
            last = marked and part == size - 1
            made.append(packet(place, timestamp, bytes([place % 251]), marker=last))
    return made


def delivered(buffer: JitterBuffer, packets: list[RtpPacket]) -> list[bytes | None]:
    """Return the frame that each packet completed, if any."""
    found = (buffer.add(each)[1] for each in packets)
    return [frame.data if frame else None for frame in found]


def video() -> LowLatencyJitterBuffer:
    return LowLatencyJitterBuffer(CAPACITY, is_video=True)


def test_a_frame_is_delivered_with_its_last_packet() -> None:
    assert delivered(video(), frames(1, 3, 2)) == [
        b"\0", None, None, b"\1\2\3", None, b"\4\5"
    ]  # fmt: skip


def test_a_frame_waits_for_a_late_packet() -> None:
    a, b, c = frames(3)

    assert delivered(video(), [a, c, b]) == [None, None, b"\0\1\2"]


def test_unmarked_frames_are_delivered_as_by_aiortc() -> None:
    packets = frames(1, 3, 2, 1, marked=False)

    expected = delivered(JitterBuffer(CAPACITY, is_video=True), packets)
    assert delivered(video(), packets) == expected
    assert sum(data is not None for data in expected) == 3


def test_a_frame_without_a_marker_is_not_merged_with_the_next() -> None:
    unmarked, marked = frames(2, marked=False), frames(1, 1, first=2)
    for each in marked:
        each.timestamp += 1

    assert delivered(video(), unmarked + marked) == [None, None, b"\0\1", b"\2"]


def test_padding_is_not_a_frame() -> None:
    first, second = frames(1, 2)[:1], frames(1, 2)[1:]
    padding = [packet(1, 0, b""), packet(2, 0, b"")]
    for index, late in enumerate(second):
        late.sequence_number = 3 + index

    assert delivered(video(), [*first, *padding, *second]) == [b"\0", None, None, None, b"\1\2"]


def test_audio_is_buffered_as_by_aiortc() -> None:
    audio = LowLatencyJitterBuffer(16, prefetch=4)
    packets = frames(1, 1, 1, 1, 1, 1)

    assert delivered(audio, packets) == delivered(JitterBuffer(16, prefetch=4), packets)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=12),
    st.sampled_from([0, 65_530]),
    st.randoms(use_true_random=False),
)
def test_every_frame_is_delivered_complete_and_in_order(
    sizes: list[int], first: int, chance: random.Random
) -> None:
    packets = frames(*sizes, first=first)
    # As a network reorders: each packet at most a few places late, the first one in its place.
    late = sorted(range(1, len(packets)), key=lambda place: place + chance.uniform(0, 4))
    shuffled = [packets[0], *(packets[place] for place in late)]
    # Frames that were complete behind a late packet are delivered with the packets after it.
    more = frames(*[2] * len(sizes), first=first + len(packets))
    for each in more:
        each.timestamp += len(sizes)

    found = [data for data in delivered(video(), shuffled + more) if data is not None]
    whole, place = [], 0
    for size in sizes:
        whole.append(b"".join(p._data for p in packets[place : place + size]))  # type: ignore[attr-defined]
        place += size
    assert found[: len(sizes)] == whole


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_packet_delays_its_frame_and_loses_no_other(lost: int) -> None:
    before, broken, after = frames(2), frames(3, first=2), frames(1, first=5)
    for each in broken:
        each.timestamp = 1
    after[0].timestamp = 2
    arrived = [p for index, p in enumerate(broken) if index != lost]

    assert delivered(video(), [*before, *arrived, *after]) == [None, b"\0\1", None, None, None]


class Clock:
    """A clock that is set manually."""

    now = 100.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


KEY, INTER = b"\x10key", b"\x11inter"
"""Frames of VP8; the first byte is even in a key frame (RFC 6386, section 9.1)."""


def video_with(clock: Clock) -> LowLatencyJitterBuffer:
    buffer = video()
    buffer.clock = clock
    return buffer


def single(place: int, data: bytes) -> RtpPacket:
    return packet(place, place, data, marker=True)


def test_a_lost_packet_is_given_up_and_a_key_frame_requested() -> None:
    clock = Clock()
    buffer = video_with(clock)
    assert buffer.add(single(0, KEY))[1]
    assert buffer.add(single(2, INTER)) == (False, None), "it may only be late"
    clock.now += 0.3
    assert buffer.add(single(3, INTER)) == (False, None)
    clock.now += 0.2
    assert buffer.add(single(4, INTER)) == (True, None), "frames that refer to it cannot be decoded"
    clock.now += 0.1
    requested, frame = buffer.add(single(5, KEY))

    assert not requested
    assert frame and frame.data == KEY
    assert buffer.add(single(6, INTER))[1]


def test_a_key_frame_is_requested_until_it_arrives() -> None:
    clock = Clock()
    buffer = video_with(clock)
    buffer.add(single(0, KEY))
    requests = 0
    for place in range(2, 40):
        clock.now += 0.1
        requests += buffer.add(single(place, INTER))[0]

    assert requests == 6, "every half second, once the packet was given up"


def test_a_late_packet_is_not_lost() -> None:
    clock = Clock()
    buffer = video_with(clock)
    buffer.add(single(0, KEY))
    buffer.add(single(2, INTER))
    clock.now += 0.3
    assert buffer.add(single(1, INTER))[1]
    clock.now += 5
    assert buffer.add(single(3, INTER)) != (True, None)


def test_after_a_long_gap_delivery_resumes_at_the_first_key_frame() -> None:
    clock = Clock()
    buffer = video_with(clock)
    buffer.add(single(0, KEY))
    clock.now += 3
    arrived = []
    for place in range(CAPACITY // 2, CAPACITY // 2 + 30):
        clock.now += 0.05
        arrived.append(buffer.add(single(place, KEY if place == CAPACITY // 2 + 20 else INTER))[1])

    assert [frame.data for frame in arrived if frame] == [KEY, *[INTER] * 9]


@pytest.mark.parametrize(
    ("data", "is_key"),
    [
        (b"\0\0\0\1\x67sps\0\0\0\1\x68pps\0\0\0\1\x65slice", True),
        (b"\0\0\0\1\x41slice", False),
        (KEY, True),
        (INTER, False),
    ],
)
def test_key_frames_of_both_codecs_are_detected(data: bytes, is_key: bool) -> None:
    clock = Clock()
    buffer = video_with(clock)
    for place in (0, 2, 3):
        buffer.add(single(place, INTER))
        clock.now += 1
    buffer.add(single(4, INTER))

    assert (buffer.add(single(5, data))[1] is not None) == is_key


H264_INTER = b"\0\0\0\1\x41slice"
H264_KEY = b"\0\0\0\1\x65slice"
RECOVERY_POINT = b"\0\0\0\1\x06\x05\x02ab\x06\x01\x84\x80" + H264_INTER
"""An SEI with a message of type 5 (user data), then one of type 6 (recovery point)."""
USER_DATA = b"\0\0\0\1\x06\x05\x02\x06\x06\x80" + H264_INTER


@pytest.mark.parametrize(
    ("data", "frozen_s"),
    [(H264_INTER, 2), (USER_DATA, 2), (RECOVERY_POINT, 0), (H264_KEY, 0), (INTER, 60)],
)
def test_h264_continues_at_a_recovery_point_or_after_two_seconds(
    data: bytes, frozen_s: float
) -> None:
    clock = Clock()
    buffer = video_with(clock)
    inter = INTER if data == INTER else H264_INTER
    buffer.add(single(0, inter))
    buffer.add(single(2, inter))
    clock.now += 0.5
    assert buffer.add(single(3, inter)) == (True, None)
    broken_at = clock.now
    place = 4
    while not buffer.add(single(place, data))[1] and clock.now < broken_at + 60:
        clock.now += 0.04
        place += 1

    assert clock.now - broken_at == pytest.approx(frozen_s, abs=0.05)


def test_h264_that_has_continued_is_not_frozen_by_another_loss_until_a_key_frame() -> None:
    clock = Clock()
    buffer = video_with(clock)
    requests = []

    def add(place: int, data: bytes) -> int:
        clock.now += 0.1
        requested, frame = buffer.add(single(place, data))
        if requested:
            requests.append(clock.now)
        return 1 + len(frame.following) if isinstance(frame, H264Frames) else frame is not None

    for place in (0, *range(2, 30)):
        add(place, H264_INTER)
    continued_at = clock.now
    counts = [add(place, H264_INTER) for place in range(31, 160)]
    # Those that waited are delivered at once, but for the first, whose beginning may be lost, too.
    assert counts == [*[0] * 5, 5, *[1] * 123]
    late = [at for at in requests if at > continued_at]
    assert len(late) in (2, 3), "every five seconds"
    # A key frame behind a lost packet.
    assert sum(add(place, H264_KEY if place == 163 else H264_INTER) for place in range(161, 168))
    requests.clear()
    assert all(add(place, H264_INTER) for place in range(168, 268))
    assert not requests


@given(st.binary(max_size=60))
def test_any_sei_is_read(data: bytes) -> None:
    buffer = video_with(clock := Clock())
    for place in (0, 2, 3):
        buffer.add(single(place, INTER))
        clock.now += 0.5
    buffer.add(single(4, b"\0\0\0\1\x06" + data))
