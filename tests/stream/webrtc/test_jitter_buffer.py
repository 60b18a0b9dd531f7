import random

import pytest
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from stream.webrtc.jitter_buffer import PromptJitterBuffer

CAPACITY = 64


def packet(sequence: int, timestamp: int, data: bytes, *, marker: bool = False) -> RtpPacket:
    made = RtpPacket(sequence_number=sequence % 65536, timestamp=timestamp, marker=int(marker))
    made._data = data  # type: ignore[attr-defined]
    return made


def frames(*sizes: int, first: int = 0, marked: bool = True) -> list[RtpPacket]:
    """Packets of frames that have so many each; a packet's data is its place in the stream."""
    made: list[RtpPacket] = []
    for timestamp, size in enumerate(sizes):
        for part in range(size):
            place = first + len(made)
            last = marked and part == size - 1
            made.append(packet(place, timestamp, bytes([place % 251]), marker=last))
    return made


def handed_on(buffer: JitterBuffer, packets: list[RtpPacket]) -> list[bytes | None]:
    """What came out at each packet."""
    found = (buffer.add(each)[1] for each in packets)
    return [frame.data if frame else None for frame in found]


def video() -> PromptJitterBuffer:
    return PromptJitterBuffer(CAPACITY, is_video=True)


def test_a_frame_comes_with_its_last_packet() -> None:
    assert handed_on(video(), frames(1, 3, 2)) == [
        b"\0", None, None, b"\1\2\3", None, b"\4\5"
    ]  # fmt: skip


def test_a_frame_waits_for_a_packet_that_is_late() -> None:
    a, b, c = frames(3)

    assert handed_on(video(), [a, c, b]) == [None, None, b"\0\1\2"]


def test_unmarked_frames_come_as_aiortc_hands_them_on() -> None:
    packets = frames(1, 3, 2, 1, marked=False)

    expected = handed_on(JitterBuffer(CAPACITY, is_video=True), packets)
    assert handed_on(video(), packets) == expected
    assert sum(data is not None for data in expected) == 3


def test_a_frame_without_a_mark_is_not_joined_to_the_next() -> None:
    unmarked, marked = frames(2, marked=False), frames(1, 1, first=2)
    for each in marked:
        each.timestamp += 1

    assert handed_on(video(), unmarked + marked) == [None, None, b"\0\1", b"\2"]


def test_padding_makes_no_frame() -> None:
    first, second = frames(1, 2)[:1], frames(1, 2)[1:]
    padding = [packet(1, 0, b""), packet(2, 0, b"")]
    for index, late in enumerate(second):
        late.sequence_number = 3 + index

    assert handed_on(video(), [*first, *padding, *second]) == [b"\0", None, None, None, b"\1\2"]


def test_sound_is_left_alone() -> None:
    sound = PromptJitterBuffer(16, prefetch=4)
    packets = frames(1, 1, 1, 1, 1, 1)

    assert handed_on(sound, packets) == handed_on(JitterBuffer(16, prefetch=4), packets)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=12),
    st.sampled_from([0, 65_530]),
    st.randoms(use_true_random=False),
)
def test_every_frame_comes_whole_and_in_order(
    sizes: list[int], first: int, chance: random.Random
) -> None:
    packets = frames(*sizes, first=first)
    # As a network shuffles: each packet a few places late at most, the first in its place.
    late = sorted(range(1, len(packets)), key=lambda place: place + chance.uniform(0, 4))
    shuffled = [packets[0], *(packets[place] for place in late)]
    # Frames that were complete behind a late packet come with the packets after it.
    more = frames(*[2] * len(sizes), first=first + len(packets))
    for each in more:
        each.timestamp += len(sizes)

    found = [data for data in handed_on(video(), shuffled + more) if data is not None]
    whole, place = [], 0
    for size in sizes:
        whole.append(b"".join(p._data for p in packets[place : place + size]))  # type: ignore[attr-defined]
        place += size
    assert found[: len(sizes)] == whole


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_lost_packet_holds_its_frame_back_and_loses_no_other(lost: int) -> None:
    before, broken, after = frames(2), frames(3, first=2), frames(1, first=5)
    for each in broken:
        each.timestamp = 1
    after[0].timestamp = 2
    arrived = [p for index, p in enumerate(broken) if index != lost]

    assert handed_on(video(), [*before, *arrived, *after]) == [None, b"\0\1", None, None, None]


class Clock:
    """One that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        """Tell the time, in seconds."""
        return self.now


KEY, INTER = b"\x10key", b"\x11inter"
"""VP8's first byte: even in a key frame (RFC 6386, section 9.1)."""


def patient(clock: Clock) -> PromptJitterBuffer:
    buffer = video()
    buffer.clock = clock
    return buffer


def single(place: int, data: bytes) -> RtpPacket:
    return packet(place, place, data, marker=True)


def test_a_packet_that_does_not_come_in_time_is_given_up_and_a_key_frame_asked_for() -> None:
    clock = Clock()
    buffer = patient(clock)
    assert buffer.add(single(0, KEY))[1]
    assert buffer.add(single(2, INTER)) == (False, None), "perhaps it is only late"
    clock.now += 0.3
    assert buffer.add(single(3, INTER)) == (False, None)
    clock.now += 0.2
    assert buffer.add(single(4, INTER)) == (True, None), "what refers to it cannot be shown"
    clock.now += 0.1
    asked, frame = buffer.add(single(5, KEY))

    assert not asked
    assert frame and frame.data == KEY
    assert buffer.add(single(6, INTER))[1]


def test_a_key_frame_is_asked_for_until_it_comes() -> None:
    clock = Clock()
    buffer = patient(clock)
    buffer.add(single(0, KEY))
    asked = 0
    for place in range(2, 40):
        clock.now += 0.1
        asked += buffer.add(single(place, INTER))[0]

    assert asked == 6, "each half a second, once it was given up"


def test_one_that_comes_late_is_not_lost() -> None:
    clock = Clock()
    buffer = patient(clock)
    buffer.add(single(0, KEY))
    buffer.add(single(2, INTER))
    clock.now += 0.3
    assert buffer.add(single(1, INTER))[1]
    clock.now += 5
    assert buffer.add(single(3, INTER)) != (True, None)


def test_after_a_long_gap_it_goes_on_with_the_first_key_frame() -> None:
    clock = Clock()
    buffer = patient(clock)
    buffer.add(single(0, KEY))
    clock.now += 3
    came = []
    for place in range(CAPACITY // 2, CAPACITY // 2 + 30):
        clock.now += 0.05
        came.append(buffer.add(single(place, KEY if place == CAPACITY // 2 + 20 else INTER))[1])

    assert [frame.data for frame in came if frame] == [KEY, *[INTER] * 9]


@pytest.mark.parametrize(
    ("data", "is_key"),
    [
        (b"\0\0\0\1\x67sps\0\0\0\1\x68pps\0\0\0\1\x65picture", True),
        (b"\0\0\0\1\x41picture", False),
        (KEY, True),
        (INTER, False),
    ],
)
def test_knows_the_key_frames_of_both_codecs(data: bytes, is_key: bool) -> None:
    clock = Clock()
    buffer = patient(clock)
    for place in (0, 2, 3):
        buffer.add(single(place, INTER))
        clock.now += 1
    buffer.add(single(4, INTER))

    assert (buffer.add(single(5, data))[1] is not None) == is_key
