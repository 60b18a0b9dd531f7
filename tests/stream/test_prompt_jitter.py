import random

import pytest
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from stream.prompt_jitter import PromptJitterBuffer

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
