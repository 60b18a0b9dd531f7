"""The header of received RTP packets, compared with aiortc's parser."""

from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap, RtpPacket
from hypothesis import example, given
from hypothesis import strategies as st

from stream.webrtc.rtp.packet import VideoPacket, parse_video_packet
from stream.webrtc.rtp.receiver import ABS_SEND_TIME

MID = "urn:ietf:params:rtp-hdrext:sdes:mid"


def extensions_map(number: int) -> HeaderExtensionsMap:
    """Return the map of a peer that numbers abs-send-time like this."""
    numbers = HeaderExtensionsMap()
    pairs = ((number, ABS_SEND_TIME), (number % 14 + 1, MID))
    extensions = [RTCRtpHeaderExtensionParameters(id=each, uri=uri) for each, uri in pairs]
    numbers.configure(RTCRtpParameters(headerExtensions=extensions))
    return numbers


def parsed_by_aiortc(data: bytes, number: int) -> VideoPacket | None:
    try:
        packet = RtpPacket.parse(data, extensions_map(number))
    except ValueError:
        return None
    return VideoPacket(
        packet.sequence_number,
        packet.timestamp,
        packet.ssrc,
        packet.payload_type,
        packet.marker,
        packet.payload,
        packet.padding_size,
        packet.extensions.abs_send_time,
    )


def parsed(data: bytes, number: int) -> VideoPacket | None:
    try:
        return parse_video_packet(data, number)
    except ValueError:
        return None


@given(
    st.integers(1, 14),
    st.integers(0, 0xFFFFFF) | st.none(),
    st.text("ab", min_size=1, max_size=20) | st.none(),
    st.lists(st.integers(0, 0xFFFFFFFF), max_size=3),
    st.binary(max_size=40),
    st.integers(0, 255),
    st.integers(0, 1),
)
def test_valid_packets_are_parsed_as_by_aiortc(
    number: int,
    sent: int | None,
    mid: str | None,
    sources: list[int],
    payload: bytes,
    padding: int,
    marker: int,
) -> None:
    packet = RtpPacket(97, marker, 65_535, 4_000_000_000, 3_000_000_000, payload)
    packet.csrc, packet.padding_size = sources, padding
    packet.extensions = HeaderExtensions(abs_send_time=sent, mid=mid)
    data = packet.serialize(extensions_map(number))

    found = parsed(data, number)

    assert found is not None and found == parsed_by_aiortc(data, number)
    assert (found.payload, found.abs_send_time, found.marker) == (payload, sent, marker)


@given(st.binary(max_size=60))
@example(bytes.fromhex("90600001000000010000000100000001bede0001"))
@example(bytes.fromhex("a06000010000000100000001000000ff"))
@example(bytes.fromhex("a0600001000000010000000100000000"))
def test_damaged_packets_raise_nothing_but_value_errors(data: bytes) -> None:
    for first in (0x80, 0x90, 0xB1, 0x4F):
        damaged = bytes([first]) + data
        found = parsed(damaged, 3)

        assert found is None or len(found.payload) <= len(damaged) - 12
