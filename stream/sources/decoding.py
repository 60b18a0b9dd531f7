"""From an opened container to its pictures, whatever carries them."""

import time
from collections.abc import Generator

import av
from av.container import InputContainer
from av.error import BlockingIOError, InvalidDataError
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from stream.sources.orientation import upright
from stream.sources.source import SourceError

POLL_INTERVAL_S = 0.005
"""How often a device that has no frame ready is asked again."""

# The cover picture of a song, and the tiles that a HEIF picture is cut into.
STILL_PARTS = Disposition.attached_pic | Disposition.dependent

# Demuxers that FFmpeg offers for plain text, which they draw as pictures of a terminal.
TEXT_FORMATS = {"tty"}


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
