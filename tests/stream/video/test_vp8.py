"""Tests of the VP8 encoder of a session's own video, compared with aiortc's."""

import time
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from aiortc import RTCRtpSender
from aiortc.codecs import get_encoder
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload

from stream.video.frame import yuv_planes
from stream.video.vp8 import LiveVp8Encoder, install_vp8_encoder
from tests.support.load.footage import footage_path, read_footage

RATE = 15


@pytest.fixture(scope="module")
def frames() -> list[av.VideoFrame]:
    read = read_footage(footage_path(), 640, 480, limit=40)
    for number, frame in enumerate(read):
        frame.pts, frame.time_base = number * 90_000 // RATE, Fraction(1, 90_000)
    return read


def decoded(encoded: list[list[bytes]]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("libvpx", "r")
    decoded_frames: list[av.VideoFrame] = []
    for payloads in encoded:
        decoded_frames += decoder.decode(av.Packet(b"".join(map(vp8_depayload, payloads))))
    return decoded_frames


def size(encoded: list[list[bytes]]) -> int:
    return sum(len(payload) for payloads in encoded for payload in payloads)


def psnr_db(decoded_frames: list[av.VideoFrame], originals: list[av.VideoFrame]) -> float:
    errors = [
        np.mean((yuv_planes(ours)[0].astype(np.float64) - yuv_planes(theirs)[0]) ** 2)
        for ours, theirs in zip(decoded_frames, originals, strict=True)
    ]
    return float(10 * np.log10(255**2 / np.mean(errors)))


def run(encoder: Vp8Encoder, frames: list[av.VideoFrame]) -> tuple[list[list[bytes]], float]:
    started = time.thread_time()
    encoded = [encoder.encode(frame)[0] for frame in frames]
    return encoded, time.thread_time() - started


def test_costs_less_than_aiortcs_and_has_a_higher_psnr(frames: list[av.VideoFrame]) -> None:
    theirs, their_s = run(Vp8Encoder(), frames)
    ours, our_s = run(LiveVp8Encoder(), frames)

    assert our_s < 0.9 * their_s
    assert psnr_db(decoded(ours), frames) > psnr_db(decoded(theirs), frames)
    assert size(ours) < 1.2 * size(theirs)


def test_follows_the_peers_bandwidth(frames: list[av.VideoFrame]) -> None:
    sizes = []
    for bit_rate in (1_500_000, 1_000_000, 300_000):
        encoder = LiveVp8Encoder()
        encoder.target_bitrate = bit_rate
        encoded, _ = run(encoder, frames)
        sizes.append(size(encoded))

    assert sizes[2] < 0.6 * sizes[1]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1), (
        "more than the sufficient bit rate is not used"
    )


def test_another_size_starts_over_with_a_key_frame(frames: list[av.VideoFrame]) -> None:
    encoder = LiveVp8Encoder()
    small = frames[1].reformat(width=320, height=240)
    encoded = [encoder.encode(frame)[0] for frame in (frames[0], small)]

    assert [(frame.width, frame.height) for frame in decoded(encoded)] == [(640, 480), (320, 240)]


def test_encodes_a_key_frame_on_request(frames: list[av.VideoFrame]) -> None:
    encoder = LiveVp8Encoder()
    encoder.encode(frames[0])
    # The lowest bit of the first byte is 0 in a key frame (RFC 6386, section 9.1).
    assert vp8_depayload(encoder.encode(frames[1])[0][0])[0] & 1
    assert not vp8_depayload(encoder.encode(frames[2], True)[0][0])[0] & 1


def test_timestamps_are_in_rtp_ticks(frames: list[av.VideoFrame]) -> None:
    encoder = LiveVp8Encoder()
    timestamps = [encoder.encode(frame)[1] for frame in frames[:4]]

    assert {later - earlier for earlier, later in pairwise(timestamps)} == {90_000 // RATE}


def test_senders_use_it_once_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiortc.codecs.Vp8Encoder", Vp8Encoder)
    install_vp8_encoder()
    vp8 = next(c for c in RTCRtpSender.getCapabilities("video").codecs if "VP8" in c.mimeType)

    assert type(get_encoder(vp8)) is LiveVp8Encoder  # type: ignore[arg-type]
