"""The receiver of a peer's video: packets to frames without a task or future for each.

It does for each packet what aiortc 1.16's receiver does, with the same state: statistics, estimate
of the bandwidth, requests for lost packets and key frames, jitter buffer and decoder.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Coroutine
from typing import Any, cast

import aiortc.rtcrtpreceiver
import av
from aiortc import RTCDtlsTransport, RTCRtpCodecParameters, RTCRtpReceiver
from aiortc.clock import current_datetime
from aiortc.codecs import depayload, is_rtx
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpparameters import RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, RtpPacket, pack_remb_fci

from stream.webrtc.rtp.packet import VideoPacket

ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"

_NTP_EPOCH_S = 2_208_988_800
"""Seconds from 1900 to 1970: the origin of aiortc's arrival times."""

MAX_SOURCES = 31
"""Sources (SSRC) of a peer's packets. Of each, statistics are kept, and a report has no room for
more (RFC 3550, section 6.4.2): aiortc fails to send it then, and never closes the connection."""

logger = logging.getLogger(__name__)


class RtpReceiver(RTCRtpReceiver):
    """aiortc's receiver, with a way for video packets that awaits nothing."""

    abs_send_time_id: int | None = None
    """Number of the header extension abs-send-time, if it was negotiated."""

    def __init__(self, kind: str, transport: RTCDtlsTransport) -> None:
        """Prepare to receive, as aiortc does."""
        super().__init__(kind, transport)
        self._direct: dict[int | None, RTCRtpCodecParameters] = {}
        self._reports: set[asyncio.Future[None]] = set()
        self._burst: tuple[int, int, int] | None = None
        self._burst_bytes = 0

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Start to receive, as aiortc does."""
        await super().receive(parameters)
        self._direct = {
            codec.payloadType: codec
            for codec in parameters.codecs
            if self.track.kind == "video" and not is_rtx(codec)
        }
        for extension in parameters.headerExtensions:
            if extension.uri == ABS_SEND_TIME:
                self.abs_send_time_id = extension.id

    def decodes(self, payload_type: int) -> bool:
        """Return whether `receive_packet` takes packets of a type."""
        return payload_type in self._direct

    def receive_packet(self, packet: VideoPacket) -> None:
        """Receive a packet whose type `decodes` accepts."""
        if not self._enabled:
            return
        private = cast(Any, self)
        streams = private._RTCRtpReceiver__remote_streams
        if packet.ssrc not in streams and len(streams) >= MAX_SOURCES:
            return
        codec = self._direct[packet.payload_type]
        if packet.abs_send_time is not None:
            self._count_for_bandwidth(packet, packet.abs_send_time)
        if packet.marker:
            private._RTCRtpReceiver__active_ssrc[packet.ssrc] = current_datetime()
        stream = streams.get(packet.ssrc)
        if stream is None:
            stream = streams[packet.ssrc] = StreamStatistics(codec.clockRate)
        stream.add(packet)
        nack = private._RTCRtpReceiver__nack_generator
        if nack.add(packet):
            self._run(self._send_rtcp_nack(packet.ssrc, sorted(nack.missing)))
        try:
            packet._data = depayload(codec, packet.payload) if packet.payload else b""
        except ValueError:
            return
        needs_key_frame, frame = private._RTCRtpReceiver__jitter_buffer.add(cast(RtpPacket, packet))
        decoder_error = private._RTCRtpReceiver__decoder_error
        if decoder_error.is_set():
            decoder_error.clear()
            needs_key_frame = True
        if needs_key_frame:
            self._run(self._send_rtcp_pli(packet.ssrc))
        if frame is not None and private._RTCRtpReceiver__decoder_thread:
            frame.timestamp = private._RTCRtpReceiver__timestamp_mapper.map(frame.timestamp)
            private._RTCRtpReceiver__decoder_queue.put((codec, frame))

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        """Receive a packet as aiortc does, unless it is of one source too many."""
        streams = cast(Any, self)._RTCRtpReceiver__remote_streams
        if packet.ssrc in streams or len(streams) < MAX_SOURCES:
            await super()._handle_rtp_packet(packet, arrival_time_ms)

    def _count_for_bandwidth(self, packet: VideoPacket, abs_send_time: int) -> None:
        """Count a packet for the estimate, together with those of the same instants.

        The estimator groups packets by these instants anyway.
        """
        instants = (packet.ssrc, abs_send_time, int((time.time() + _NTP_EPOCH_S) * 1000))
        if instants != self._burst:
            self._estimate_bandwidth()
            self._burst = instants
        self._burst_bytes += len(packet.payload) + packet.padding_size
        if packet.marker:
            self._estimate_bandwidth()

    def _estimate_bandwidth(self) -> None:
        """Give the packets that were counted to the estimator; send its estimate if it is new."""
        if self._burst is None:
            return
        private = cast(Any, self)
        source, abs_send_time, arrival_time_ms = self._burst
        estimate = private._RTCRtpReceiver__remote_bitrate_estimator.add(
            abs_send_time=abs_send_time,
            arrival_time_ms=arrival_time_ms,
            payload_size=self._burst_bytes,
            ssrc=source,
        )
        self._burst, self._burst_bytes = None, 0
        ssrc = private._RTCRtpReceiver__rtcp_ssrc
        if estimate is not None and ssrc is not None:
            fci = pack_remb_fci(*estimate)
            report = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=ssrc, media_ssrc=0, fci=fci)
            self._run(self._send_rtcp(report))

    def _run(self, report: Coroutine[Any, Any, None]) -> None:
        """Send a report; seldom enough for a task."""
        self._reports.add(task := asyncio.ensure_future(report))
        task.add_done_callback(self._reports.discard)


def decode_frames(
    loop: asyncio.AbstractEventLoop,
    encoded: "queue.Queue[tuple[RTCRtpCodecParameters, JitterFrame] | None]",
    decoded: "asyncio.Queue[Any]",
    failed: threading.Event,
) -> None:
    """Decode a receiver's frames in a thread until None comes.

    As aiortc's `decoder_worker`, except that handing a frame to the event loop takes a callback
    instead of a task and three futures.

    Args:
        loop: The event loop of the track.
        encoded: Frames with their codec, and None at the end.
        decoded: Receives the frames, and None at the end.
        failed: Is set if a frame cannot be decoded.
    """
    codec_name, decoder = None, None
    while (task := encoded.get()) is not None:
        codec, frame = task
        if decoder is None or codec.name != codec_name:
            # By this name, because the size of frames is limited there.
            decoder = aiortc.rtcrtpreceiver.get_decoder(codec)  # type: ignore[attr-defined]
            codec_name = codec.name
        try:
            frames = decoder.decode(frame)
        except av.FFmpegError as problem:
            # The decoder keeps its state: a new one would need a key frame.
            logger.warning("a frame of %s cannot be decoded: %s", codec.name, problem)
            failed.set()
            continue
        for each in frames:
            loop.call_soon_threadsafe(decoded.put_nowait, each)
    loop.call_soon_threadsafe(decoded.put_nowait, None)
