"""How a shared video is put on a viewer's connection."""

from typing import Literal

from aiortc import RTCPeerConnection, RTCRtpSender, sdp

from stream.offer import OfferError
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


def check_takes_shared(description: sdp.SessionDescription) -> None:
    """Refuse an offer that cannot take a shared video.

    Raises:
        OfferError: If its video has no VP8.
    """
    offered = {
        codec.mimeType.lower()
        for media in description.media
        if media.kind == "video"
        for codec in media.rtp.codecs
    }
    if "video/vp8" not in offered:
        raise OfferError("no-vp8", "offer VP8 (RFC 7741): what many watch is encoded in it alone")
