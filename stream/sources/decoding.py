"""Decode the video of an opened container: stream selection, frame positions and geometry."""

import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.error import ArgumentError, BlockingIOError, InvalidDataError
from av.packet import Packet
from av.sidedata import sidedata
from av.stream import Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from models.preprocessing import fit_size
from stream.settings import MAX_FRAME_PIXELS
from stream.sources.source import SourceError
from stream.video import (
    IncompleteFrames,
    Plane,
    blank_frame,
    convert_frame,
    yuv_planes,
)

_POLL_INTERVAL_S = 0.005
"""Interval of polling a device that has no frame ready."""

_NOT_VIDEO = Disposition.attached_pic | Disposition.dependent
"""Streams that are no video: the cover art of a song, and the tiles of a HEIF image."""

_TEXT_FORMATS = {"tty"}
"""FFmpeg's demuxers for plain text, which they render as a terminal."""

_INCOMPLETE_AFTER_S = 10.0
"""Recordings, too, may begin between two key frames that are as far apart."""

_DEFAULT_FRAME_RATE = 25.0
"""Frames per second of a file with neither timestamps nor a frame rate."""

_MAX_DISORDER_S = 0.5
"""Timestamps that go back by less are out of order; by more, they have restarted."""

_MAX_GAP_S = 600.0
"""Timestamps that leap ahead by more are no gap in the recording: the camera's clock was set."""

_SAMPLE_ASPECTS = (1 / 8, 8)
"""Range of believable sample aspect ratios."""

_SQUARE_TOLERANCE = 0.01
"""Relative difference of width and height up to which samples count as square."""

PROBE_OPTIONS = {"max_pixels": str(2**28)}
"""Options of `av.open`, which decodes a frame in some formats: bounds the memory of that frame."""


def select_video_stream(
    container: InputContainer, name: str, max_pixels: int = MAX_FRAME_PIXELS
) -> VideoStream:
    """Select the video stream of a container, and limit the size of its frames.

    Args:
        container: An opened container.
        name: Name of the source in error messages.
        max_pixels: Maximum width times height of a frame.

    Raises:
        SourceError: If the container has no video (cover art does not count), only in a codec
            that this FFmpeg cannot decode, or of larger frames.
    """
    videos = [stream for stream in container.streams.video if not stream.disposition & _NOT_VIDEO]
    if not videos or container.format.name in _TEXT_FORMATS:
        raise SourceError(f"{name} contains no video; use a video, an image or a camera")
    decodable = [stream for stream in videos if stream.codec_context is not None]
    if not decodable:
        raise SourceError(f"{name} uses an unsupported codec; convert it to H.264 or VP8")
    best = container.streams.best("video")
    video = next((stream for stream in decodable if stream is best), decodable[0])
    context = video.codec_context
    if context.width * context.height > max_pixels:
        raise SourceError(
            f"{name} has frames of {context.width}x{context.height} pixels, more than the limit "
            f"of {max_pixels / 1e6:.1f} million; choose a lower resolution, or raise "
            "stream.frame_pixels in the settings"
        )
    # The size may be unknown yet, and may change.
    context.options = {**context.options, "max_pixels": str(max_pixels)}
    return video


def is_complete_with_next(container: InputContainer, video: VideoStream) -> bool:
    """Return whether FFmpeg completes a frame only when the next one starts to arrive.

    A frame of these formats has no length (ISO/IEC 13818-1, RFC 6184, RFC 7798, RFC 6416), so it is
    returned as much later as the camera's interval, which may be seconds.
    """
    return container.format.name == "mpegts" or (
        container.format.name == "rtsp" and video.codec_context.name in {"h264", "hevc", "mpeg4"}
    )


def decode_packets(
    container: InputContainer,
    video: VideoStream,
    name: str,
    incomplete_after_s: float = _INCOMPLETE_AFTER_S,
) -> "Generator[tuple[Packet[Stream] | None, list[av.VideoFrame]], None, None]":
    """Read a container packet by packet, and decode its video.

    Every packet of every stream is yielded with the frames (none, one or more) that it completed,
    so that the caller regains control however long a frame takes to arrive. Damaged packets
    complete none, and decoding continues after them.

    Args:
        container: An opened container.
        video: Its stream to decode, as `select_video_stream` returns it.
        name: Name of the source in error messages.
        incomplete_after_s: Seconds of video without a complete frame after which incomplete ones
            count, because a camera may send no key frames.

    Yields:
        The packet, or None where a device had nothing ready, and its frames, upright and with
        square samples.

    Raises:
        av.FFmpegError: If reading fails.
        SourceError: If the frames become too large.
    """
    packets = container.demux()
    incomplete = IncompleteFrames(video.codec_context, incomplete_after_s)
    correction = FrameCorrection()
    time_s = 0.0
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
            frames = decode_packet(video.codec_context, packet, name)
            if packet.dts is None or packet.time_base is None:
                time_s += 1.0 / _DEFAULT_FRAME_RATE
            else:
                time_s = float(packet.dts * packet.time_base)
            incomplete.count(len(frames), time_s)
        aspect = video.sample_aspect_ratio
        yield packet, [correction.apply(frame, aspect) for frame in frames]


def decode_packet(
    context: VideoCodecContext, packet: "Packet[Any]", name: str
) -> list[av.VideoFrame]:
    """Decode a packet; damaged ones complete no frame.

    Args:
        context: A decoder with the option `max_pixels`.
        packet: The packet.
        name: Name of the source in error messages.

    Raises:
        SourceError: If the frame is too large.
    """
    try:
        return context.decode(packet)
    except InvalidDataError:
        return []
    except ArgumentError as error:
        # The response of FFmpeg's decoders to `max_pixels`.
        raise SourceError(
            f"{name} has a frame that is invalid or larger than the limit; choose a lower "
            "resolution, or raise stream.frame_pixels in the settings"
        ) from error


class MediaTime:
    """The positions of a stream's frames, in seconds since its start.

    A frame without a timestamp follows the previous one at the stream's frame rate, and so does one
    whose timestamps restart, as at the seam of a spliced recording, or leap far ahead, as when a
    camera's clock is set. A gap in the recording keeps its length.
    """

    def __init__(self, video: VideoStream) -> None:
        """Start at the beginning of a video stream."""
        self._interval_s = 1.0 / float(video.average_rate or _DEFAULT_FRAME_RATE)
        # AVI has no presentation timestamps. Those that FFmpeg derives are out of order if the
        # video has B-frames; its decoding timestamps advance at the frame rate.
        self._is_avi = video.container.format.name == "avi"
        self._origin_s: float | None = None
        if not self._is_avi and video.start_time is not None and video.time_base is not None:
            self._origin_s = float(video.start_time * video.time_base)
        self._position_s = 0.0
        self._next_s = 0.0

    def position_of(self, frame: av.VideoFrame) -> float:
        """Return the position of the next frame; call it once for each frame, in order."""
        timestamp = frame.dts if self._is_avi else frame.pts
        position_s = self._next_s
        if timestamp is not None and frame.time_base is not None:
            position_s = self._place(float(timestamp * frame.time_base))
        # Rounded, because a sum of floats may fall just short of a whole second.
        self._position_s = position_s = round(position_s, 6)
        duration_s = float((frame.duration or 0) * (frame.time_base or 0))
        is_declared = 0 < duration_s <= _MAX_GAP_S
        self._next_s = position_s + (duration_s if is_declared else self._interval_s)
        return position_s

    def _place(self, timestamp_s: float) -> float:
        if self._origin_s is None:
            self._origin_s = timestamp_s - self._next_s
        step_s = timestamp_s - self._origin_s - self._position_s
        if -_MAX_DISORDER_S < step_s < 0:
            return self._position_s
        if not 0 <= step_s <= _MAX_GAP_S:
            self._origin_s = timestamp_s - self._next_s
            return self._next_s
        return timestamp_s - self._origin_s


class FrameCorrection:
    """Turns the frames of one decoder upright, and makes their samples square."""

    def __init__(self) -> None:
        """Start before the first frame."""
        self._orientations: dict[int, Orientation] = {}

    def apply(self, frame: av.VideoFrame, aspect: Fraction | None) -> av.VideoFrame:
        """Return the frame itself, or a corrected yuv420p frame with the same timestamps.

        Args:
            frame: A decoded frame.
            aspect: Width of its samples divided by their height; unknown if None or 0.
        """
        # PyAV's side data and its frame refer to each other, which keeps the frame in memory until
        # the garbage collector runs: gigabytes at 4K. So it is read once for each rotation, from a
        # copy.
        rotation = frame.rotation
        if rotation not in self._orientations:
            small = convert_frame(frame, "yuv420p", (16, 16))
            self._orientations[rotation] = Orientation.from_frame(small)
        return turn_upright(square_samples(frame, aspect), self._orientations[rotation])


def square_samples(frame: av.VideoFrame, aspect: Fraction | None) -> av.VideoFrame:
    """Resize a frame whose samples are not square, as anamorphic recordings have them.

    Args:
        frame: The frame.
        aspect: Width of a sample divided by its height; unknown if None or 0.

    Returns:
        The frame itself if its samples are square, otherwise a wider or higher yuv420p frame.
    """
    if not aspect or not _SAMPLE_ASPECTS[0] <= aspect <= _SAMPLE_ASPECTS[1]:
        return frame
    if abs(aspect - 1) <= _SQUARE_TOLERANCE:
        return frame
    # Enlarged only, so that no detail is lost.
    width = frame.width * max(1.0, float(aspect))
    height = frame.height / min(1.0, float(aspect))
    size = fit_size(2 * round(width / 2), 2 * round(height / 2), MAX_FRAME_PIXELS)
    return convert_frame(frame, "yuv420p", size)


def _missing_side_data_type(cls: Any, value: object) -> Any:
    member = object.__new__(cls)
    member._name_, member._value_ = f"UNKNOWN_{value}", value
    return member


# PyAV refuses all side data of a frame if it lacks the name of one type, such as EXIF, which many
# cameras put into their JPEG images.
sidedata.Type._missing_ = classmethod(_missing_side_data_type)  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Orientation:
    """One of the eight orientations of a frame: a transposition, then mirroring."""

    transposed: bool = False
    mirrored_x: bool = False
    mirrored_y: bool = False

    @classmethod
    def from_frame(cls, frame: av.VideoFrame) -> "Orientation":
        """Read the display matrix of a frame; skewed ones are rounded to a right angle.

        A phone held upright records frames that lie on their side, with a display matrix (ISO/IEC
        14496-12, section 8.3.2, `tkhd`) that FFmpeg passes on as side data of each frame.
        """
        side_data = cast("Mapping[str, sidedata.SideData]", frame.side_data).get("DISPLAYMATRIX")
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


def turn_upright(frame: av.VideoFrame, orientation: Orientation) -> av.VideoFrame:
    """Turn a frame upright.

    Returns:
        The frame itself if it is upright, otherwise a new yuv420p frame with the same timestamps.
    """
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
