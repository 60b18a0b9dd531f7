"""The sender of returned video: the packets of a frame are sent at once."""

import struct
from typing import Any, cast

from aiortc import RTCRtpSender
from aiortc.clock import current_ntp_time
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame, random_sequence_number
from aiortc.rtp import RTP_HISTORY_SIZE, HeaderExtensions, RtpPacket
from aiortc.utils import random32

from stream.webrtc.rtp.transport import RtpTransport

_PLAIN, _EXTENDED = 0x80, 0x90
"""First byte of a packet without and with header extensions (RFC 3550, section 5.1)."""

_pack_header = struct.Struct("!BBHLL").pack
_pack_extension = struct.Struct("!HH").pack

_SEQUENCE_NUMBERS, _TIMESTAMPS = 1 << 16, 1 << 32


class RtpSender(RTCRtpSender):
    """aiortc's sender, except that the packets of a frame are sent at once."""

    _sequence_number: int | None = None
    """Of the next packet; None before the first."""

    async def _next_encoded_frame(self, codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        """Send the next frame; return None, so that aiortc's loop sends nothing."""
        frame = await super()._next_encoded_frame(codec)
        if frame is not None:
            self._send_frame(frame, codec.payloadType or 0)
        return None

    def _send_frame(self, frame: RTCEncodedFrame, payload_type: int) -> None:
        """Send the packets of a frame, and keep them for retransmission.

        Raises:
            ConnectionError: If there is no connection.
        """
        private = cast(Any, self)
        if self._sequence_number is None:
            self._sequence_number, self._origin = random_sequence_number(), random32()
        timestamp = (self._origin + frame.timestamp) % _TIMESTAMPS
        now = current_ntp_time()
        level = None if frame.audio_level is None else (False, -frame.audio_level)
        extensions = HeaderExtensions(
            abs_send_time=(now >> 14) & 0xFFFFFF,
            mid=private._RTCRtpSender__mid,
            audio_level=level,
        )
        history, ssrc = private._RTCRtpSender__rtp_history, self._ssrc
        kind, value = private._RTCRtpSender__rtp_header_extensions_map.set(extensions)
        first, extension = _PLAIN, b""
        if value:
            first, extension = _EXTENDED, _pack_extension(kind, len(value) // 4) + value
        last, number, sent = len(frame.payloads) - 1, self._sequence_number, []
        for index, payload in enumerate(frame.payloads):
            marker = int(index == last)
            packet = RtpPacket(payload_type, marker, number, timestamp, ssrc, payload)
            packet.extensions = extensions
            history[number % RTP_HISTORY_SIZE] = packet
            header = _pack_header(first, marker << 7 | payload_type, number, timestamp, ssrc)
            sent.append(header + extension + payload)
            number = (number + 1) % _SEQUENCE_NUMBERS
        self._sequence_number = number
        cast(RtpTransport, self.transport).send_packets(sent)
        private._RTCRtpSender__ntp_timestamp = now
        private._RTCRtpSender__rtp_timestamp = timestamp
        private._RTCRtpSender__octet_count += sum(map(len, frame.payloads))
        private._RTCRtpSender__packet_count += len(frame.payloads)
