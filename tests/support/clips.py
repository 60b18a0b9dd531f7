"""Test clips whose frames show their orientation by a different colour in each corner."""

from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

CORNERS = {(-1, -1): "red", (1, -1): "green", (-1, 1): "blue", (1, 1): "white"}
"""Colour of each corner, by the signs of its x and y relative to the centre."""

COLOURS = {"red": (200, 30, 30), "green": (30, 180, 30), "blue": (30, 30, 200), "white": (230,) * 3}

IDENTITY = (1, 0, 0, 1)


def pixels(width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """Draw an image with four coloured corners, uint8 [height, width, 3] RGB."""
    image = np.zeros((height, width, 3), np.uint8)
    for (x, y), colour in CORNERS.items():
        rows = slice(0, height // 2) if y < 0 else slice(height // 2, height)
        columns = slice(0, width // 2) if x < 0 else slice(width // 2, width)
        image[rows, columns] = COLOURS[colour]
    return image


def corners(frame: av.VideoFrame) -> dict[tuple[int, int], str]:
    """Return the colour of each corner of a frame."""
    image = frame.to_ndarray(format="rgb24").astype(int)
    height, width, _ = image.shape
    found = {}
    for x, y in CORNERS:
        pixel = image[height // 2 + y * height // 4, width // 2 + x * width // 4]
        found[x, y] = min(COLOURS, key=lambda name: int(abs(pixel - COLOURS[name]).sum()))
    return found


def is_open(path: Path) -> bool:
    """Return whether this process has a file open."""
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            if descriptor.readlink() == path:
                return True
    return False


def write_clip(
    path: Path | str,
    count: int = 30,
    rate: int = 10,
    size: tuple[int, int] = (96, 64),
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    container: str | None = None,
    options: dict[str, str] | None = None,
    matrix: Sequence[int] = IDENTITY,
    times: Sequence[float] | None = None,
    aspect: Fraction | None = None,
    codec_options: dict[str, str] | None = None,
) -> None:
    """Write a clip.

    Args:
        path: The file.
        count: Number of frames.
        rate: Frames per second.
        size: Width and height in pixels.
        codec: FFmpeg's name of the encoder.
        pixel_format: FFmpeg's name of the pixel format.
        container: FFmpeg's name of the muxer; by default by the name of the file.
        options: Options of the muxer.
        matrix: The values a, b, c and d of the display matrix.
        times: Timestamp of each frame in seconds, in place of count and rate.
        aspect: Sample aspect ratio.
        codec_options: Options of the encoder.
    """
    times = times or [number / rate for number in range(count)]
    with av.open(path, "w", format=container, options=options or {}) as output:
        stream = output.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.gop_size = 5
        stream.thread_count = 1
        stream.options = {**(codec_options or {})}
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
            stream.sample_aspect_ratio = aspect
        if tuple(matrix) != IDENTITY:
            a, b, c, d = (part << 16 for part in matrix)
            stream.set_display_matrix((a, b, 0, c, d, 0, 0, 0, 1 << 30))
        frame = av.VideoFrame.from_ndarray(pixels(*size), format="rgb24")
        for time_s in times:
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
