"""H.264 by periodic intra refresh, as some cameras and encoders send: one key frame, no other."""

import re
from fractions import Fraction

import av
import numpy as np

RATE, WIDTH, HEIGHT = 25, 320, 240
REFRESH_FRAMES = 25
"""Frames in which the whole picture is repaired."""

_START = re.compile(b"\0\0\0?\1")
KEY, SEI, PARAMETER_SETS = {5}, {6}, {7, 8}
"""Types of NAL units (H.264, table 7-1)."""


def image(number: int) -> av.VideoFrame:
    """Return a frame: a moving pattern that becomes brighter, so that no two look the same."""
    across = np.arange(WIDTH, dtype=np.float32)[None] + 3 * number
    down = np.arange(HEIGHT, dtype=np.float32)[:, None]
    pattern = 30 * np.sin(across / 9) * np.sin(down / 7)
    luma = np.clip(mean_luma(number) + pattern, 0, 255).astype(np.uint8)
    chroma = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
    frame = av.VideoFrame.from_ndarray(np.vstack([luma, chroma]), format="yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    return frame


def mean_luma(number: int) -> float:
    """Return the mean luma of a frame; the first 800 can be told apart by it."""
    return 40 + 0.2 * number


def encode(frames: int, key_frame_interval: int | None = None) -> list[bytes]:
    """Encode frames; each is an access unit in a byte stream (H.264, annex B).

    The first is a key frame. Recovery points are marked by SEI messages and parameter sets.

    Args:
        frames: Number of frames.
        key_frame_interval: Frames from key frame to key frame, instead of intra refresh.
    """
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, RATE), Fraction(RATE)
    encoder.gop_size, encoder.max_b_frames = key_frame_interval or REFRESH_FRAMES, 0
    encoder.options = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "profile": "baseline",
        "x264-params": f"intra-refresh={int(not key_frame_interval)}:scenecut=0:threads=1",
    }
    units = [bytes(packet) for n in range(frames) for packet in encoder.encode(image(n))]
    assert len(units) == frames
    return units


def without(types: set[int], unit: bytes) -> bytes:
    """Remove the NAL units of some types from an access unit."""
    nals = [nal for nal in _START.split(unit)[1:] if nal[0] & 0x1F not in types]
    return b"".join(b"\0\0\0\1" + nal for nal in nals)
