"""How a shared video is put on a viewer's connection."""

from typing import Literal

from aiortc import RTCPeerConnection, RTCRtpSender

from stream.viewer_track import ViewerTrack

_SHARED = ("video/vp8", "video/rtx")


def send_shared(
    peer: RTCPeerConnection,
    track: ViewerTrack,
    direction: Literal["sendonly", "sendrecv"] = "sendonly",
) -> None:
    """Send a shared video to a peer whose offer is not applied yet.

    VP8 alone is agreed on, since that is what is encoded, and what the peer asks for by PLI or FIR
    (RFC 4585, RFC 5104) reaches the shared encoder.

    Args:
        peer: The viewer's connection; `setRemoteDescription` comes after this.
        track: What `SharedVideo.watch` gave.
        direction: "sendrecv" for one whose own pictures are shared and who sees them too.
    """
    transceiver = peer.addTransceiver(track, direction)
    capabilities = RTCRtpSender.getCapabilities("video").codecs
    transceiver.setCodecPreferences(
        [codec for codec in capabilities if codec.mimeType.lower() in _SHARED]
    )
    # aiortc keeps a request for its own encoder, which a track of packets does not use.
    transceiver.sender._send_keyframe = track.key_frame_wanted  # type: ignore[method-assign]
