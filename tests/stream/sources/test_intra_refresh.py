"""Cameras of H.264 to which the server connects between two key frames, if there are any."""

import threading
import time
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Self

import av
import numpy as np
from aiohttp.test_utils import unused_port
from av.container import OutputContainer

from stream.sources.file import FileSource
from stream.sources.source import SourceFrame
from stream.sources.url import UrlSource
from tests.support.intra_refresh import HEIGHT, RATE, SEI, WIDTH, encode, image, without

FIRST = 30
"""Number of the first frame that arrives."""
LOST = 5
"""Frames that are lost at a time."""
FRAMES, SPEED = 800, 4
KEY_FRAME_INTERVAL = 8 * RATE


def mux(output: OutputContainer, unit: bytes, number: int) -> None:
    """Write a frame, and before the first one its stream."""
    if not output.streams.video:
        output.add_mux_stream("h264", RATE, width=WIDTH, height=HEIGHT)
    packet = av.Packet(unit)
    packet.stream, packet.time_base = output.streams.video[0], Fraction(1, RATE)
    packet.pts = packet.dts = number
    output.mux(packet)


class Camera:
    """Sends frames by UDP, faster than in real time; a context manager."""

    def __init__(self, units: list[bytes]) -> None:
        self._units, self._port = units, unused_port()
        self.url = f"udp://127.0.0.1:{self._port}"
        self.number = FIRST
        """Number of the next frame."""
        self._losing, self._stop = threading.Event(), threading.Event()
        self._sender = threading.Thread(target=self._send)

    def lose(self) -> int:
        """Lose the next frames; return the number of the last one."""
        self._losing.set()
        while self._losing.is_set():
            time.sleep(0.01)
        return self.number + LOST

    def _send(self) -> None:
        url = f"{self.url}?pkt_size=1316"
        with av.open(url, "w", format="mpegts") as output:
            while self.number < len(self._units) and not self._stop.wait(1 / RATE / SPEED):
                if self._losing.is_set():
                    self.number += LOST
                    self._losing.clear()
                mux(output, self._units[self.number], self.number)
                self.number += 1

    def __enter__(self) -> Self:
        self._sender.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._sender.join()


@cache
def brightness_of(number: int) -> float:
    """Return the mean luma of a frame, to which the pattern adds a little."""
    return float(image(number).to_ndarray(format="gray").mean())


def number_of(frame: SourceFrame) -> int | None:
    """Return the number of the frame that looks like this one."""
    luma = frame.image.to_ndarray(format="gray").astype(np.float32)
    # The pattern of every 19th frame is in about the same place, so brightness decides.
    numbers = [n for n in range(FRAMES) if abs(brightness_of(n) - luma.mean()) < 1]
    errors = {n: np.mean((luma - image(n).to_ndarray(format="gray")) ** 2) for n in numbers}
    best = min(errors, key=errors.__getitem__, default=None)
    return best if best is not None and errors[best] < 30 else None


def test_video_is_shown_although_no_key_frame_or_recovery_point_comes() -> None:
    units = [without(SEI, unit) for unit in encode(FRAMES)]
    with Camera(units) as camera, UrlSource(camera.url, read_timeout_s=1) as source:
        found = (number for frame in source.frames() if (number := number_of(frame)))
        assert next(found) > FIRST
        last_lost = camera.lose()
        assert next(number for number in found if number > last_lost + RATE)


def test_nothing_incomplete_is_shown_while_a_key_frame_may_come(tmp_path: Path) -> None:
    units = encode(KEY_FRAME_INTERVAL + 20, key_frame_interval=KEY_FRAME_INTERVAL)
    path = tmp_path / "recording.ts"
    with av.open(path, "w") as output:
        for number in range(FIRST, len(units)):
            mux(output, units[number], number)

    with FileSource(path) as source:
        numbers = [number_of(frame) for frame in source.frames()]

    assert numbers == list(range(KEY_FRAME_INTERVAL, len(units)))
