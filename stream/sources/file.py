"""Video files as sources: read at the reader's pace, or played in real time."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from stream.clock import boottime
from stream.settings import MAX_FRAME_PIXELS
from stream.sources.decoding import (
    PROBE_OPTIONS,
    MediaTime,
    decode_packets,
    select_video_stream,
)
from stream.sources.source import Source, SourceError, SourceFrame

REPEAT_S = 1.0
"""Interval of repeating a frame that is shown for longer, and shortest duration of a recording, in
seconds."""

_FORMATS_WITH_DURATION = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
"""Formats that declare their duration in the header; of others it is an estimate."""

_TRUNCATED_S = 1.0
"""How much shorter than declared a file may be before it counts as truncated."""

_MAX_LATE_S = 1.0
"""Delay of the reader or the disk from which playback restarts its clock, in seconds."""


_CATCH_UP = 0.1
"""How much faster than in real time a broadcast is played until it has made up a delay."""


class FileSource(Source):
    """A video file, read as fast as its frames are taken."""

    live = False

    def __init__(self, path: Path, *, max_pixels: int = MAX_FRAME_PIXELS) -> None:
        """Open the file and decode its first frame.

        Args:
            path: The file.
            max_pixels: Maximum width times height of a frame.

        Raises:
            SourceError: If the file contains no video, none that can be decoded, or larger frames.
        """
        self.name = path.name
        self._path = path
        # Held while FFmpeg uses the container, never while the reader has a frame.
        self._lock = threading.Lock()
        self._closed = False
        self._container = self._open()
        try:
            video = select_video_stream(self._container, path.name, max_pixels)
            video.thread_type = "AUTO"
            self._media_time = MediaTime(video)
            self._packets = decode_packets(self._container, video, path.name)
            self._read_until_s = 0.0
            # Only a decoded frame proves that this is a video.
            self._ready: list[SourceFrame] = []
            while not self._ready and self._read():
                pass
            if not self._ready:
                raise SourceError(
                    f"{path.name} contains no frame that can be decoded: it is damaged or "
                    "truncated; copy or record it again"
                )
        except BaseException:
            self._container.close()
            raise

    def frames(self) -> Iterator[SourceFrame]:
        """Yield every frame of the file.

        Raises:
            SourceError: If reading fails, or the file ends well before its declared duration.
        """
        more = True
        while more:
            with self._lock:
                if self._closed:
                    return
                ready, self._ready = self._ready, []
                if not ready:
                    more = self._read()
            for frame in ready:
                if self._closed:
                    return
                yield frame
        self._check_duration()

    def close(self) -> None:
        """Close the file, once a frame that another thread is decoding is done."""
        self._closed = True
        with self._lock:
            self._ready = []
            self._packets.close()
            self._container.close()

    def _open(self) -> InputContainer:
        try:
            # With an explicit scheme, a colon in the file name is not taken for a protocol.
            return av.open(
                f"file:{self._path}",
                options={**PROBE_OPTIONS, "protocol_whitelist": "file,crypto,data"},
                metadata_errors="replace",
            )
        except av.FFmpegError as error:
            raise SourceError(
                f"{self._path.name} cannot be read as a video ({error.strerror}); it may be "
                "damaged, incomplete or of another type: try to play it"
            ) from error

    def _read(self) -> bool:
        """Read one packet; return whether there was one."""
        try:
            packet, images = next(self._packets, (None, []))
        except av.FFmpegError as error:
            raise SourceError(
                f"{self._path.name} cannot be read beyond {self._read_until_s:.1f} s "
                f"({error.strerror}): it is damaged; copy or record it again"
            ) from error
        if packet is None:
            return False
        self._read_until_s = max(self._read_until_s, _end_s(packet))
        self._ready += [SourceFrame(image, self._media_time.position_of(image)) for image in images]
        return True

    def _check_duration(self) -> None:
        with self._lock:
            if self._closed or self._container.format.name not in _FORMATS_WITH_DURATION:
                return
            declared_s = (self._container.duration or 0) / av.time_base
            start_s = (self._container.start_time or 0) / av.time_base
            is_matroska = self._container.format.name == "matroska,webm"
        # Matroska's muxers declare the timestamp of the end, those of MP4 the difference.
        end_s = declared_s if is_matroska else start_s + declared_s
        if self._read_until_s < end_s - _TRUNCATED_S:
            read_s, whole_s = max(0.0, self._read_until_s - start_s), end_s - start_s
            raise SourceError(
                f"{self._path.name} is truncated: it ends after {read_s:.1f} of {whole_s:.1f} s; "
                "copy or record it again"
            )


def _end_s(packet: "Packet[Stream]") -> float:
    """Return the media time at which a packet ends, in seconds."""
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


class RealTimeSource(Source):
    """A recorded source that is played in real time, as a camera would send it."""

    live = True

    def __init__(self, source: Source) -> None:
        """Play a recorded source, which is closed with this one."""
        self.name = source.name
        self.endless = source.endless
        self._source = source
        self._closed = threading.Event()
        self._late_s = 0.0

    def frames(self) -> Iterator[SourceFrame]:
        """Yield each frame when it is due; the last is shown for as long as the one before.

        Raises:
            SourceError: If the recording fails before its end.
        """
        started = float("-inf")
        position_s, duration_s = 0.0, REPEAT_S
        shown: SourceFrame | None = None
        for frame in self._source.frames():
            if started + _MAX_LATE_S < time.monotonic() - frame.position_s:
                restarted = time.monotonic() - frame.position_s
                self._late_s += restarted - started if shown else 0.0
                started = restarted
            elif frame.position_s > position_s:
                duration_s = frame.position_s - position_s
                started -= self._catch_up(duration_s)
            position_s = frame.position_s
            yield from self._repeat_until(started + position_s, shown)
            if self._closed.is_set():
                return
            shown = self._show_now(frame)
            yield shown
        # A minimum duration, because a reader that loops the recording opens it again each time.
        yield from self._repeat_until(started + max(position_s + duration_s, REPEAT_S), shown)

    def close(self) -> None:
        """End `frames`, and close the recording."""
        self._closed.set()
        self._source.close()

    def _catch_up(self, duration_s: float) -> float:
        """Return by how much to shorten a frame of a broadcast that has fallen behind."""
        made_up_s = min(self._late_s, _CATCH_UP * duration_s) if self.endless else 0.0
        self._late_s -= made_up_s
        return made_up_s

    def _repeat_until(self, due: float, shown: SourceFrame | None) -> Iterator[SourceFrame]:
        """Wait until the next frame is due, and repeat the current one meanwhile."""
        while (left_s := due - time.monotonic()) > 0 and not self._closed.wait(
            min(left_s, REPEAT_S)
        ):
            if shown and left_s > REPEAT_S:
                yield self._show_now(shown)

    def _show_now(self, frame: SourceFrame) -> SourceFrame:
        """Return a frame that is captured now, unless it was captured for a broadcast."""
        if not self.endless:
            return SourceFrame(frame.image, frame.position_s)
        return replace(frame, held_back_s=boottime() - frame.captured_boottime)
