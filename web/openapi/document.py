"""The whole document, assembled once."""

from functools import cache

from web.openapi import feeds, history, server, webrtc
from web.openapi.operation import Json
from web.openapi.schemas import schemas

_TAGS = {
    "Feeds": "Cameras that the server captions by itself, and sessions that were published.",
    "History": "What feeds have said before; off until a path is configured.",
    "Video": "Video in and out over WebRTC.",
    "Study": "Pictures and reports of a session, for who knows its id.",
    "Access": "Tokens and roles.",
    "Operation": "How the server is.",
    "Pages": "For people.",
}
_ABOUT = (
    "Live captions of cameras: who watches, what they say, and what they said. A token goes into "
    "`Authorization: Bearer TOKEN`; on the loopback address without tokens everyone is an admin. "
    "Errors are `{error: {code, message}}`: the code is for programs, the message for people."
)


@cache
def document() -> Json:
    """Return the document; not to be changed."""
    cookie = {"type": "apiKey", "in": "cookie", "name": "sightline"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sightline", "version": "1", "description": _ABOUT},
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": {**feeds.paths(), **history.paths(), **webrtc.paths(), **server.paths()},
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {**cookie, "description": "Set by `/login`; `__Host-` with https."},
            },
        },
    }
