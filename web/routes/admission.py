"""Whether who asks may have a session: by role, by address, and by what the server has room for."""

from aiohttp import web
from aiortc import RTCSessionDescription

from stream.publishing import NameTaken, NoSuchStream
from stream.webrtc import InputKind, Offer, OfferError, ServerFull
from web.errors import error
from web.keys import SESSIONS
from web.security import ANALYSES_NEED, LIMITS, ROLE, Role, TooMuch, address_of, party, too_much

_SESSIONS_RETRY_S = 10


_TOO_LARGE = "too-large"


class NotAllowed(Exception):
    """The role of who asks does not do for this."""


Refusal = NameTaken | NoSuchStream | NotAllowed | OfferError | ServerFull | TooMuch


REFUSALS = (NameTaken, NoSuchStream, NotAllowed, OfferError, ServerFull, TooMuch)


async def admit(request: web.Request, offer: Offer) -> tuple[str, RTCSessionDescription]:
    """Start a session for who asks; return its id and the answer.

    Raises:
        One of `REFUSALS`: When there is none; see `refusal`.
    """
    role, sessions = request[ROLE] or Role.VIEWER, request.app[SESSIONS]
    if offer.input is not InputKind.FEED and role < Role.ADMIN:
        raise NotAllowed("to send pictures of your own you need the admin's token")
    owner, most = party(address_of(request)), request.app[LIMITS].settings.sessions
    if sessions.of(owner) >= most:
        raise TooMuch(f"this address has {most} sessions already", _SESSIONS_RETRY_S)
    return await sessions.accept(offer, owner=owner, may_analyse=role >= ANALYSES_NEED)


def refusal(problem: Refusal) -> web.Response:
    """Say why there is no session."""
    match problem:
        case OfferError():
            return error(413 if problem.code == _TOO_LARGE else 400, problem.code, str(problem))
        case NotAllowed():
            return error(403, "not-allowed", str(problem))
        case NoSuchStream():
            return error(404, "not-found", str(problem))
        case NameTaken():
            return error(409, "name-taken", str(problem))
        case ServerFull():
            retry = {"Retry-After": str(problem.retry_after_s)}
            return error(503, "server-full", f"{problem}; try again later", retry)
        case TooMuch():
            return too_much(problem)
