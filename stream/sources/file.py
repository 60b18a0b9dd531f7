"""A video file as a source.

A recording that is played in real time, as a camera would send it.
"""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from stream.sources.decoding import MediaTime, find_video, read_pictures
from stream.sources.source import Source, SourceError, SourceFrame

# Only these state their length in a header of their own; elsewhere it is an estimate.
FORMATS_THAT_STATE_THEIR_LENGTH = {"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"}
CUT_SHORT_S = 1.0
"""How much of its stated length a file may lack before it counts as cut short."""

LATE_S = 1.0
"""A reader or a disk that is this far behind, in seconds, has play go on from where it is."""

STILL_S = 1.0
"""How long a recording of one picture is on, in seconds; one that is on for longer is given again
as often."""


class FileSource(Source):
    """A video file, read as fast as its frames are taken."""

    live = False

    def __init__(self, path: Path) -> None:
        """Open the file and decode its first picture.

        Args:
            path: the file.

        Raises:
            SourceError: the file holds no video, or none that can be decoded.
        """
        self.name = path.name
        self._path = path
        # Held while FFmpeg works on the container, never while a frame is with the reader.
        self._lock = threading.Lock()
        self._closed = False
        self._container = self._open()
        try:
            video = find_video(self._container, str(path))
            video.thread_type = "AUTO"
            self._media_time = MediaTime(video)
            self._reading = read_pictures(self._container, video)
            self._read_until_s = 0.0
            # The first picture is the proof that this is a video.
            self._ready: list[SourceFrame] = []
            while not self._ready and self._read():
                pass
            if not self._ready:
                raise SourceError(
                    f"{path} holds no picture that can be decoded: it is damaged or cut short, "
                    "copy or record it again"
                )
        except BaseException:
            self._container.close()
            raise

    def _open(self) -> InputContainer:
        try:
            # With the scheme spelt out, a colon in the name makes no protocol of it.
            return av.open(
                f"file:{self._path}",
                options={"protocol_whitelist": "file,crypto,data"},
                metadata_errors="replace",
            )
        except av.FFmpegError as error:
            raise SourceError(
                f"{self._path} is no video that can be read ({error.strerror}): it may be "
                "damaged, incomplete or no video at all, try to play it"
            ) from error

    def frames(self) -> Iterator[SourceFrame]:
        """Give every frame of the file.

        Raises:
            SourceError: reading failed, or the file ends well before its stated length.
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
        self._check_length()

    def _read(self) -> bool:
        """Read one packet; tell whether there was one."""
        try:
            packet, pictures = next(self._reading, (None, []))
        except av.FFmpegError as error:
            raise SourceError(
                f"{self._path} cannot be read on after {self._read_until_s:.1f} s "
                f"({error.strerror}): it is damaged, copy or record it again"
            ) from error
        if packet is None:
            return False
        self._read_until_s = max(self._read_until_s, _end(packet))
        self._ready += [
            SourceFrame(picture, self._media_time.of(picture), time.time()) for picture in pictures
        ]
        return True

    def _check_length(self) -> None:
        with self._lock:
            if self._closed or self._container.format.name not in FORMATS_THAT_STATE_THEIR_LENGTH:
                return
            stated_s = (self._container.duration or 0) / av.time_base
            start_s = (self._container.start_time or 0) / av.time_base
        read_s = max(0.0, self._read_until_s - start_s)
        if read_s < stated_s - CUT_SHORT_S:
            raise SourceError(
                f"{self._path} is cut short: it ends after {read_s:.1f} of {stated_s:.1f} s, "
                "copy or record it again"
            )

    def close(self) -> None:
        """Close the file; a frame being decoded in another thread is waited for."""
        self._closed = True
        with self._lock:
            self._ready = []
            self._reading.close()
            self._container.close()


def _end(packet: "Packet[Stream]") -> float:
    """Give the media time at which a packet ends, in seconds."""
    if packet.pts is None or packet.time_base is None:
        return 0.0
    return float((packet.pts + (packet.duration or 0)) * packet.time_base)


class PacedSource(Source):
    """Another source, each picture of which comes when it is due."""

    live = True

    def __init__(self, source: Source) -> None:
        """Play a recorded source, which is closed with this one."""
        self.name = source.name
        self._source = source
        self._closed = threading.Event()

    def frames(self) -> Iterator[SourceFrame]:
        """Give each frame when it is due; the last one is on for as long as the one before.

        Raises:
            SourceError: the recording failed before its end.
        """
        started = float("-inf")
        position_s, on_s = 0.0, STILL_S
        shown: SourceFrame | None = None
        for frame in self._source.frames():
            if started + LATE_S < time.monotonic() - frame.position_s:
                started = time.monotonic() - frame.position_s
            elif frame.position_s > position_s:
                on_s = frame.position_s - position_s
            position_s = frame.position_s
            yield from self._again(shown, started + position_s)
            if self._closed.is_set():
                return
            shown = SourceFrame(frame.image, position_s, time.time())
            yield shown
        # No shorter in all than a single picture: whoever plays it again and again has to open it.
        yield from self._again(shown, started + max(position_s + on_s, STILL_S))

    def _again(self, shown: SourceFrame | None, due: float) -> Iterator[SourceFrame]:
        """Wait until the next picture is due, and give the one that is on meanwhile, as it is."""
        while (left_s := due - time.monotonic()) > 0 and not self._closed.wait(
            min(left_s, STILL_S)
        ):
            if shown and left_s > STILL_S:
                yield replace(shown, captured=time.time())

    def close(self) -> None:
        """End `frames`, and close the recording."""
        self._closed.set()
        self._source.close()
