"""Admission of sessions: by role, by sessions per client address, and by server capacity."""

from aiohttp import web
from aiortc import RTCSessionDescription

from stream.publishing import NameTaken, NoSuchStream
from stream.quota import ShareExceeded
from stream.webrtc import InputKind, Offer, OfferError, ServerFull
from web.errors import error_response
from web.keys import MEDIA
from web.security import (
    ANALYSIS_ROLE,
    LIMITS,
    ROLE,
    LimitExceeded,
    Role,
    limit_exceeded_response,
    owner_of,
    quota_exceeded_response,
)

_SESSIONS_RETRY_S = 10
_TOO_LARGE = "too-large"


class NotAllowed(Exception):
    """The client's role is not sufficient."""


AdmissionError = (
    NameTaken | NoSuchStream | NotAllowed | OfferError | ServerFull | ShareExceeded | LimitExceeded
)
ADMISSION_ERRORS = (
    *(NameTaken, NoSuchStream, NotAllowed, OfferError, ServerFull, ShareExceeded, LimitExceeded),
)


async def admit(request: web.Request, offer: Offer) -> tuple[str, RTCSessionDescription]:
    """Start a session for a request; return the session's id and the SDP answer.

    Raises:
        One of `ADMISSION_ERRORS`: If the offer is rejected; see `admission_error_response`.
    """
    role, sessions = request[ROLE] or Role.VIEWER, request.app[MEDIA].sessions
    if offer.input is not InputKind.FEED and role is not Role.ADMIN:
        raise NotAllowed("sending your own video requires the admin token")
    owner, limit = owner_of(request), request.app[LIMITS].settings.sessions
    if sessions.count_of(owner) >= limit:
        raise LimitExceeded(f"this address already has {limit} sessions", _SESSIONS_RETRY_S)
    return await sessions.accept(offer, owner=owner, may_analyse=role.includes(ANALYSIS_ROLE))


def admission_error_response(error: AdmissionError) -> web.Response:
    """Build the response for an offer that was rejected."""
    match error:
        case OfferError():
            status = 413 if error.code == _TOO_LARGE else 400
            return error_response(status, error.code, str(error))
        case NotAllowed():
            return error_response(403, "not-allowed", str(error))
        case NoSuchStream():
            return error_response(404, "not-found", str(error))
        case NameTaken():
            return error_response(409, "name-taken", str(error))
        case ServerFull():
            retry = {"Retry-After": str(error.retry_after_s)}
            return error_response(503, "server-full", f"{error}; try again later", retry)
        case ShareExceeded():
            return quota_exceeded_response(error)
        case LimitExceeded():
            return limit_exceeded_response(error)
