"""What this package relies on inside aiortc 1.16 and aioice 0.13; another version is refused."""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from aioice.ice import Connection
from aiortc import RTCDtlsTransport, RTCRtpReceiver, RTCRtpSender

_TRANSPORT, _RECEIVER, _SENDER = "_RTCDtlsTransport__", "_RTCRtpReceiver__", "_RTCRtpSender__"

_USED: dict[Callable[..., Any], tuple[str, ...]] = {
    Connection.data_received: ("_queue",),
    Connection.sendto: ("_nominated", "protocol", "remote_addr"),
    RTCDtlsTransport._recv_next: (
        "_rx_srtp",
        f"{_TRANSPORT}rx_bytes",
        f"{_TRANSPORT}rx_packets",
    ),
    RTCDtlsTransport._send_rtp: (
        "_tx_srtp",
        f"{_TRANSPORT}tx_bytes",
        f"{_TRANSPORT}tx_packets",
    ),
    RTCDtlsTransport._handle_rtp_data: ("_rtp_router",),
    RTCRtpReceiver._handle_rtp_packet: tuple(
        _RECEIVER + name
        for name in (
            *("active_ssrc", "decoder_error", "decoder_queue", "decoder_thread", "jitter_buffer"),
            *("nack_generator", "remote_bitrate_estimator", "remote_streams", "rtcp_ssrc"),
            "timestamp_mapper",
        )
    ),
    RTCRtpSender._run_rtp: (
        "_next_encoded_frame",
        *(
            _SENDER + name
            for name in (
                *("mid", "ntp_timestamp", "octet_count", "packet_count", "rtp_history"),
                *("rtp_header_extensions_map", "rtp_timestamp"),
            )
        ),
    ),
}
"""Methods that are replaced or bypassed, and the names in them that must be there."""


def check_aiortc() -> None:
    """Check that the libraries are as this package expects them.

    Raises:
        ImportError: If they are not.
    """
    for method, names in _USED.items():
        if missing := set(names) - set(method.__code__.co_names):
            raise ImportError(
                f"aiortc {version('aiortc')} and aioice {version('aioice')} differ from what "
                f"stream.webrtc.rtp replaces: {method.__qualname__} has no "
                f"{', '.join(sorted(missing))}; install the versions that pyproject.toml names"
            )
