"""The header of a received RTP packet of video (RFC 3550, section 5.1)."""

import struct
from dataclasses import dataclass

_EXTENDED, _PADDED, _SOURCES = 0x10, 0x20, 0x0F
_ONE_BYTE_HEADERS, _TWO_BYTE_HEADERS = 0xBEDE, 0x1000
"""Kinds of header extensions (RFC 8285, section 4)."""
_HEADER_BYTES = 12

_read_header = struct.Struct("!BBHLL").unpack_from
_read_extension = struct.Struct("!HH").unpack_from


@dataclass(slots=True)
class VideoPacket:
    """A received packet, with what its receiver uses."""

    sequence_number: int
    timestamp: int
    ssrc: int
    payload_type: int
    marker: int
    payload: bytes
    """Without padding."""
    padding_size: int
    abs_send_time: int | None
    """When it was sent, in 1/2^18 s, 24 bits (the header extension abs-send-time)."""
    _data: bytes = b""
    """The depacketized payload, under the name by which aiortc's jitter buffer finds it."""


def parse_video_packet(data: bytes, abs_send_time_id: int | None) -> VideoPacket:
    """Parse a decrypted packet.

    Args:
        data: The packet.
        abs_send_time_id: Number of the header extension abs-send-time, if it is in use.

    Raises:
        ValueError: If it is malformed.
    """
    if len(data) < _HEADER_BYTES:
        raise ValueError("the RTP packet is truncated")
    flags, kind, sequence_number, timestamp, ssrc = _read_header(data)
    if flags >> 6 != 2:
        raise ValueError("the RTP packet is not of version 2")
    start, end, padding, sent = _HEADER_BYTES + 4 * (flags & _SOURCES), len(data), 0, None
    if flags & _EXTENDED:
        if end < start + 4:
            raise ValueError("the RTP header is truncated")
        profile, words = _read_extension(data, start)
        start, extension = start + 4 + 4 * words, start + 4
        if abs_send_time_id and start <= end:
            sent = _abs_send_time(profile, data[extension:start], abs_send_time_id)
    if flags & _PADDED:
        padding = data[-1]
        if not padding:
            raise ValueError("the RTP packet is padded by 0 bytes")
        end -= padding
    if end < start:
        raise ValueError("the RTP header or the padding is longer than the packet")
    return VideoPacket(
        sequence_number, timestamp, ssrc, kind & 0x7F, kind >> 7, data[start:end], padding, sent
    )


def _abs_send_time(profile: int, extensions: bytes, number: int) -> int | None:
    """Find the header extension abs-send-time (RFC 8285, sections 4.2 and 4.3).

    Raises:
        ValueError: If an extension is truncated.
    """
    if profile not in (_ONE_BYTE_HEADERS, _TWO_BYTE_HEADERS):
        return None
    at, count = 0, len(extensions)
    while at < count:
        head = extensions[at]
        if not head:
            at += 1
            continue
        if profile == _ONE_BYTE_HEADERS:
            found, length, at = head >> 4, (head & 0xF) + 1, at + 1
        elif at + 1 < count:
            found, length, at = head, extensions[at + 1], at + 2
        else:
            raise ValueError("an RTP header extension is truncated")
        if at + length > count:
            raise ValueError("an RTP header extension is truncated")
        if found == number and length == 3:
            return int.from_bytes(extensions[at : at + 3], "big")
        at += length
    return None
