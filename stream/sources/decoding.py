"""From an opened container to its pictures, whatever carries them.

When, within a recording, a picture is shown.

Turning a picture the way that its display matrix asks for.

A phone held upright records lying frames and a note on how to turn them: the display matrix of
ISO/IEC 14496-12, section 8.3.2 (`tkhd`), which FFmpeg hands on as side data of each frame.
"""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import cast

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import BlockingIOError, InvalidDataError
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from stream.sources.source import SourceError
from stream.video import Plane, blank, converted, planes

POLL_INTERVAL_S = 0.005
"""How often a device that has no frame ready is asked again."""

# The cover picture of a song, and the tiles that a HEIF picture is cut into.
STILL_PARTS = Disposition.attached_pic | Disposition.dependent

# Demuxers that FFmpeg offers for plain text, which they draw as pictures of a terminal.
TEXT_FORMATS = {"tty"}
ASSUMED_RATE = 25.0
"""Frames a second where a file states neither times nor a rate."""


def find_video(container: InputContainer, name: str) -> VideoStream:
    """Choose the video stream of a container.

    Raises:
        SourceError: it has none (the cover picture of a song does not count), or one in a codec
            that this FFmpeg does not know.
    """
    moving = [stream for stream in container.streams.video if not stream.disposition & STILL_PARTS]
    if not moving or container.format.name in TEXT_FORMATS:
        raise SourceError(f"{name} holds no video: give a video, a picture or a camera")
    decodable = [stream for stream in moving if stream.codec_context is not None]
    if not decodable:
        raise SourceError(
            f"{name} is in a codec that cannot be decoded here: convert it to H.264 or VP8"
        )
    best = container.streams.best("video")
    return next((stream for stream in decodable if stream is best), decodable[0])


def read_pictures(
    container: InputContainer, video: VideoStream
) -> "Generator[tuple[Packet[Stream] | None, list[av.VideoFrame]], None, None]":
    """Read a container packet by packet.

    Every packet of every stream is given, with the pictures (none, one or some) that it brought,
    so that the caller comes back into control however long a picture takes to come. Damaged
    packets bring none: what follows them is often whole.

    Yields:
        The packet, None where a device had nothing ready, and its pictures, upright.

    Raises:
        av.FFmpegError: reading failed.
    """
    packets = container.demux()
    while True:
        try:
            packet = next(packets, None)
        except BlockingIOError:
            time.sleep(POLL_INTERVAL_S)
            packets = container.demux()
            yield None, []
            continue
        if packet is None:
            return
        yield packet, _decode(video, packet) if packet.stream is video else []


def _decode(video: VideoStream, packet: "Packet[Stream]") -> list[av.VideoFrame]:
    try:
        return [upright(picture) for picture in video.decode(packet)]
    except InvalidDataError:
        return []


class MediaTime:
    """The positions of a stream's pictures, in seconds since its start.

    Pictures without a timestamp follow the one before at the stream's frame rate, and so do those
    whose timestamps start afresh, as at the seam of a spliced recording.
    """

    def __init__(self, video: VideoStream) -> None:
        """Begin at the start.

        Args:
            video: the stream that the pictures come from.
        """
        self._interval_s = 1.0 / float(video.average_rate or ASSUMED_RATE)
        self._origin_s: float | None = None
        if video.start_time is not None and video.time_base is not None:
            self._origin_s = float(video.start_time * video.time_base)
        self._position_s = 0.0
        self._following_s = 0.0

    def of(self, picture: av.VideoFrame) -> float:
        """Give the position of the next picture; ask once for each, in order."""
        position_s = self._following_s
        if picture.pts is not None and picture.time_base is not None:
            shown_s = float(picture.pts * picture.time_base)
            if self._origin_s is None or shown_s - self._origin_s < self._position_s:
                self._origin_s = shown_s - self._following_s
            position_s = shown_s - self._origin_s
        self._position_s = position_s
        self._following_s = position_s + self._interval_s
        return position_s


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight ways to lay a picture down: a transposition, then mirrorings."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @classmethod
    def of(cls, frame: av.VideoFrame) -> "Orientation":
        """Read the display matrix of a frame; a skew angle counts as the nearest right angle."""
        side_data = cast("Mapping[str, SideData]", frame.side_data).get("DISPLAYMATRIX")
        if side_data is None:
            return cls()
        matrix = np.frombuffer(memoryview(side_data), np.int32)
        # A picture's point (p, q) is shown at (a p + c q, b p + d q).
        a, b, _, c, d = matrix[:5].tolist()
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transposed=True, mirrored_x=c < 0, mirrored_y=b < 0)
        return cls(mirrored_x=a < 0, mirrored_y=d < 0)

    def apply(self, plane: Plane) -> Plane:
        """Turn one plane."""
        if self.transposed:
            plane = cv2.transpose(plane)  # type: ignore[assignment]
        if self.mirrored_x:
            plane = cv2.flip(plane, 1)  # type: ignore[assignment]
        if self.mirrored_y:
            plane = cv2.flip(plane, 0)  # type: ignore[assignment]
        return plane


def upright(frame: av.VideoFrame) -> av.VideoFrame:
    """Give the frame as it is meant to be seen.

    Returns:
        The frame itself where nothing is to be turned, otherwise a new yuv420p frame with the
        same timestamps.
    """
    orientation = Orientation.of(frame)
    if orientation == Orientation():
        return frame
    lying = converted(frame, "yuv420p")
    width, height = lying.width, lying.height
    if orientation.transposed:
        width, height = height, width
    turned = blank(width, height, like=lying)
    for target, plane in zip(planes(turned), planes(lying), strict=True):
        target[:] = orientation.apply(plane)
    return turned
