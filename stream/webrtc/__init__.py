"""WebRTC sessions: offers, their peers, and the limits that end them."""

from stream.webrtc.offer import InputKind, Offer, OfferError
from stream.webrtc.session import Session, new_session_id
from stream.webrtc.sessions import ServerFull, SessionGone, Sessions

__all__ = [
    "InputKind",
    "Offer",
    "OfferError",
    "ServerFull",
    "Session",
    "SessionGone",
    "Sessions",
    "new_session_id",
]
