"""Decode the video of an opened container: stream selection, frame positions and orientation."""

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
from stream.video import IncompleteFrames, Plane, blank_frame, convert_frame, yuv_planes

_POLL_INTERVAL_S = 0.005
"""Interval of polling a device that has no frame ready."""

_NOT_VIDEO = Disposition.attached_pic | Disposition.dependent
"""Streams that are no video: the cover art of a song, and the tiles of a HEIF image."""

_TEXT_FORMATS = {"tty"}
"""FFmpeg's demuxers for plain text, which they render as a terminal."""

_DEFAULT_FRAME_RATE = 25.0
"""Frames per second of a file with neither timestamps nor a frame rate."""


def select_video_stream(container: InputContainer, name: str) -> VideoStream:
    """Select the video stream of a container.

    Args:
        container: An opened container.
        name: Name of the source in error messages.

    Raises:
        SourceError: If the container has no video (cover art does not count), or only in a codec
            that this FFmpeg cannot decode.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & _NOT_VIDEO]
    if not videos or container.format.name in _TEXT_FORMATS:
        raise SourceError(f"{name} contains no video; use a video, an image or a camera")
    decodable = [stream for stream in videos if stream.codec_context is not None]
    if not decodable:
        raise SourceError(f"{name} uses an unsupported codec; convert it to H.264 or VP8")
    best = container.streams.best("video")
    return next((stream for stream in decodable if stream is best), decodable[0])


def is_complete_with_next(container: InputContainer, video: VideoStream) -> bool:
    """Return whether FFmpeg completes a frame only when the next one starts to arrive.

    A frame of these formats has no length (ISO/IEC 13818-1, RFC 6184, RFC 7798, RFC 6416), so it is
    returned as much later as the camera's interval, which may be seconds.
    """
    return container.format.name == "mpegts" or (
        container.format.name == "rtsp" and video.codec_context.name in {"h264", "hevc", "mpeg4"}
    )


def decode_packets(
    container: InputContainer, video: VideoStream
) -> "Generator[tuple[Packet[Stream] | None, list[av.VideoFrame]], None, None]":
    """Read a container packet by packet, and decode its video.

    Every packet of every stream is yielded with the frames (none, one or more) that it completed,
    so that the caller regains control however long a frame takes to arrive. Damaged packets
    complete none, and decoding continues after them; of a camera that sends no key frames, with
    incomplete frames first.

    Yields:
        The packet, or None where a device had nothing ready, and its frames, upright.

    Raises:
        av.FFmpegError: If reading fails.
    """
    packets, incomplete = container.demux(), IncompleteFrames(video.codec_context)
    while True:
        try:
            packet = next(packets, None)
        except BlockingIOError:
            time.sleep(_POLL_INTERVAL_S)
            packets = container.demux()
            yield None, []
            continue
        if packet is None:
            return
        frames = []
        if packet.stream is video:
            frames = _decode(video, packet)
            incomplete.count(len(frames))
        yield packet, frames


def _decode(video: VideoStream, packet: "Packet[Stream]") -> list[av.VideoFrame]:
    try:
        return [apply_display_matrix(frame) for frame in video.decode(packet)]
    except InvalidDataError:
        return []


class MediaTime:
    """The positions of a stream's frames, in seconds since its start.

    A frame without a timestamp follows the previous one at the stream's frame rate, and so does one
    whose timestamps restart, as at the seam of a spliced recording.
    """

    def __init__(self, video: VideoStream) -> None:
        """Start at the beginning of a video stream."""
        self._interval_s = 1.0 / float(video.average_rate or _DEFAULT_FRAME_RATE)
        self._origin_s: float | None = None
        if video.start_time is not None and video.time_base is not None:
            self._origin_s = float(video.start_time * video.time_base)
        self._position_s = 0.0
        self._next_s = 0.0

    def position_of(self, frame: av.VideoFrame) -> float:
        """Return the position of the next frame; call it once for each frame, in order."""
        position_s = self._next_s
        if frame.pts is not None and frame.time_base is not None:
            timestamp_s = float(frame.pts * frame.time_base)
            if self._origin_s is None or timestamp_s - self._origin_s < self._position_s:
                self._origin_s = timestamp_s - self._next_s
            position_s = timestamp_s - self._origin_s
        self._position_s = position_s
        self._next_s = position_s + self._interval_s
        return position_s


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight orientations of a frame: a transposition, then mirroring."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @classmethod
    def from_frame(cls, frame: av.VideoFrame) -> "Orientation":
        """Read the display matrix of a frame; skewed ones are rounded to a right angle."""
        side_data = cast("Mapping[str, SideData]", frame.side_data).get("DISPLAYMATRIX")
        if side_data is None:
            return cls()
        matrix = np.frombuffer(memoryview(side_data), np.int32)
        # The point (p, q) of the frame is displayed at (a p + c q, b p + d q).
        a, b, _, c, d = matrix[:5].tolist()
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transposed=True, mirrored_x=c < 0, mirrored_y=b < 0)
        return cls(mirrored_x=a < 0, mirrored_y=d < 0)

    def apply(self, plane: Plane) -> Plane:
        """Reorient one plane."""
        if self.transposed:
            plane = cv2.transpose(plane)  # type: ignore[assignment]
        if self.mirrored_x:
            plane = cv2.flip(plane, 1)  # type: ignore[assignment]
        if self.mirrored_y:
            plane = cv2.flip(plane, 0)  # type: ignore[assignment]
        return plane


def apply_display_matrix(frame: av.VideoFrame) -> av.VideoFrame:
    """Turn a frame upright, as its display matrix specifies.

    A phone held upright records frames that lie on their side, with a display matrix (ISO/IEC
    14496-12, section 8.3.2, `tkhd`) that FFmpeg passes on as side data of each frame.

    Returns:
        The frame itself if it is upright, otherwise a new yuv420p frame with the same timestamps.
    """
    orientation = Orientation.from_frame(frame)
    if orientation == Orientation():
        return frame
    original = convert_frame(frame, "yuv420p")
    width, height = original.width, original.height
    if orientation.transposed:
        width, height = height, width
    upright = blank_frame(width, height, like=original)
    for target, plane in zip(yuv_planes(upright), yuv_planes(original), strict=True):
        target[:] = orientation.apply(plane)
    return upright
