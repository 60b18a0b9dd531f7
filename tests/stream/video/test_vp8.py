"""The encoder of a session's own video, beside aiortc's."""

import time
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from aiortc import RTCRtpSender
from aiortc.codecs import get_encoder
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload

from stream.video.frame import planes
from stream.video.vp8 import LiveVp8Encoder, encode_lightly
from tests.bench.footage import footage_path, read_footage

RATE = 15


@pytest.fixture(scope="module")
def pictures() -> list[av.VideoFrame]:
    read = read_footage(footage_path(), 640, 480, limit=40)
    for number, picture in enumerate(read):
        picture.pts, picture.time_base = number * 90_000 // RATE, Fraction(1, 90_000)
    return read


def decoded(encoded: list[list[bytes]]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("libvpx", "r")
    shown: list[av.VideoFrame] = []
    for payloads in encoded:
        shown += decoder.decode(av.Packet(b"".join(map(vp8_depayload, payloads))))
    return shown


def size(encoded: list[list[bytes]]) -> int:
    return sum(len(payload) for payloads in encoded for payload in payloads)


def nearness_db(shown: list[av.VideoFrame], meant: list[av.VideoFrame]) -> float:
    errors = [
        np.mean((planes(ours)[0].astype(np.float64) - planes(theirs)[0]) ** 2)
        for ours, theirs in zip(shown, meant, strict=True)
    ]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def run(encoder: Vp8Encoder, pictures: list[av.VideoFrame]) -> tuple[list[list[bytes]], float]:
    begun = time.thread_time()
    encoded = [encoder.encode(picture)[0] for picture in pictures]
    return encoded, time.thread_time() - begun


def test_costs_less_than_aiortcs_and_shows_more(pictures: list[av.VideoFrame]) -> None:
    theirs, their_s = run(Vp8Encoder(), pictures)
    ours, our_s = run(LiveVp8Encoder(), pictures)

    assert our_s < 0.9 * their_s
    assert nearness_db(decoded(ours), pictures) > nearness_db(decoded(theirs), pictures)
    assert size(ours) < 1.2 * size(theirs)


def test_follows_what_the_peer_can_receive(pictures: list[av.VideoFrame]) -> None:
    sizes = []
    for bit_rate in (1_500_000, 1_000_000, 300_000):
        encoder = LiveVp8Encoder()
        encoder.target_bitrate = bit_rate
        encoded, _ = run(encoder, pictures)
        sizes.append(size(encoded))

    assert sizes[2] < 0.6 * sizes[1]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1), "more than is enough is not sent"


def test_begins_anew_with_another_size(pictures: list[av.VideoFrame]) -> None:
    encoder = LiveVp8Encoder()
    small = pictures[1].reformat(width=320, height=240)
    encoded = [encoder.encode(picture)[0] for picture in (pictures[0], small)]

    assert [(frame.width, frame.height) for frame in decoded(encoded)] == [(640, 480), (320, 240)]


def test_gives_a_key_frame_when_asked(pictures: list[av.VideoFrame]) -> None:
    encoder = LiveVp8Encoder()
    encoder.encode(pictures[0])
    # The first byte's lowest bit is 0 in a key frame (RFC 6386, section 9.1).
    assert vp8_depayload(encoder.encode(pictures[1])[0][0])[0] & 1
    assert not vp8_depayload(encoder.encode(pictures[2], True)[0][0])[0] & 1


def test_stamps_pictures_in_ticks_of_rtp(pictures: list[av.VideoFrame]) -> None:
    encoder = LiveVp8Encoder()
    stamps = [encoder.encode(picture)[1] for picture in pictures[:4]]

    assert {later - earlier for earlier, later in pairwise(stamps)} == {90_000 // RATE}


def test_senders_take_it_once_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiortc.codecs.Vp8Encoder", Vp8Encoder)
    encode_lightly()
    vp8 = next(c for c in RTCRtpSender.getCapabilities("video").codecs if "VP8" in c.mimeType)

    assert type(get_encoder(vp8)) is LiveVp8Encoder  # type: ignore[arg-type]
