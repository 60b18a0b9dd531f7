"""RTP of sessions: aiortc's transports, receivers and senders without a task for each packet."""

import aiortc.rtcpeerconnection
import aiortc.rtcrtpreceiver

from stream.webrtc.rtp.aiortc_internals import check_aiortc
from stream.webrtc.rtp.receiver import RtpReceiver, decode_frames
from stream.webrtc.rtp.sender import RtpSender
from stream.webrtc.rtp.transport import RtpTransport

__all__ = ["RtpReceiver", "RtpSender", "RtpTransport", "use_direct_rtp"]

check_aiortc()


def use_direct_rtp() -> None:
    """Make all peer connections of this process use the classes of this package."""
    module = vars(aiortc.rtcpeerconnection)
    module["RTCDtlsTransport"] = RtpTransport
    module["RTCRtpReceiver"], module["RTCRtpSender"] = RtpReceiver, RtpSender
    vars(aiortc.rtcrtpreceiver)["decoder_worker"] = decode_frames
