"""The page, who may come in, what was studied, and how the server is.

Video in and out, over WebRTC.
"""

from web.openapi.operation import (
    NAME,
    NAME_PATTERN,
    Json,
    bytes_of,
    header,
    in_path,
    json_of,
    operation,
    ref,
    text_of,
)

_ACCESS, _STUDY, _OPERATION, _PAGES = "Access", "Study", "Operation", "Pages"

_TOKEN = in_path("token", "What the data channel said.", r"^[A-Za-z0-9_-]{1,64}$")
_TAG = "Video"
_SESSION = in_path("session", "What `Location` said.", r"^[A-Za-z0-9_-]{1,64}$")

# What may be done is the same for whatever is named.
_ANY_NAME, _ANY_SESSION = in_path("name", "A name.", "."), in_path("session", "A session.", ".")

_SDP = {"application/sdp": {"schema": {"type": "string"}}}
_FRAGMENT = {"application/trickle-ice-sdpfrag": {"schema": {"type": "string"}}}
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The session's ETag.",
    "schema": {"type": "string", "pattern": '^"[A-Za-z0-9_-]+"$'},
}

_TAGGED = {"ETag": header("Of the session's ICE.")}


def server_paths() -> dict[str, Json]:
    """Describe them by path."""
    return {**_access(), **_study(), **_operation(), **_pages()}


def _access() -> dict[str, Json]:
    role = _just(role={"enum": ["admin", "viewer"]})
    me = _just(role=ref("Role"), tokens={"type": "boolean"})
    token = {"application/json": {"schema": {**_just(token={"type": "string"})}}}
    del token["application/json"]["schema"]["additionalProperties"]
    return {
        "/login": {
            "get": _page("Log in", None),
            "post": operation(
                _ACCESS,
                "Change a token for a cookie",
                {"200": json_of("Who it is of; the cookie is set.", role)},
                body=token,
                errors=["400", "401"],
                role=None,
            ),
        },
        "/logout": {
            "post": operation(
                _ACCESS, "Make the cookie worthless", {"204": bytes_of("Done.")}, role=None
            )
        },
        "/api/me": {
            "get": operation(
                _ACCESS,
                "Tell who asks",
                {"200": json_of("The role, and whether the server has tokens.", me)},
                role=None,
            )
        },
    }


def _study() -> dict[str, Json]:
    name = in_path("name", "Which file.", r"^report\.(html|json)$")
    stream = in_path("stream", "The id of a session.", r"^[A-Za-z0-9_-]{1,64}$")
    seq = in_path("seq", "The caption's number.", r"^[0-9]{1,16}$")
    return {
        "/streams/{stream}/pictures/{seq}": {
            "get": operation(
                _STUDY,
                "Give the picture that a caption speaks of",
                {"200": bytes_of("The picture.", "image/jpeg")},
                parameters=[stream, seq],
                errors=["404"],
            )
        },
        "/analyses/{token}": {
            "get": operation(
                _STUDY,
                "Tell how it is with an analysis",
                {"200": json_of("The analysis.", ref("analysis"))},
                parameters=[_TOKEN],
                errors=["404"],
                role="admin",
            ),
            "delete": operation(
                _STUDY,
                "Give an analysis up, or forget what it found",
                {"204": bytes_of("Done.")},
                parameters=[_TOKEN],
                errors=["404"],
                role="admin",
            ),
        },
        "/analyses/{token}/{name}": {
            "get": operation(
                _STUDY,
                "Give the report of an analysis",
                {"200": bytes_of("The report.", "text/html", "application/json")},
                parameters=[_TOKEN, name],
                errors=["404"],
                role="admin",
            )
        },
    }


def _operation() -> dict[str, Json]:
    alive = _just(status={"const": "ok"}, sessions={"type": "integer", "minimum": 0})
    metrics = ("text/plain", "application/openmetrics-text")
    return {
        "/healthz": {"get": _told("Tell whether the server lives", alive)},
        "/readyz": {"get": _told("Tell whether it captions", _just(status={"const": "ready"}))},
        "/metrics": {
            "get": operation(
                _OPERATION,
                "Give the metrics",
                {"200": text_of("As Prometheus reads them.", *metrics)},
            )
        },
        "/openapi.json": {
            "get": operation(
                _OPERATION,
                "Give this document",
                {"200": json_of("OpenAPI 3.1.", {"type": "object"})},
            )
        },
    }


def _pages() -> dict[str, Json]:
    return {
        "/": {"get": _page("Show the page", "viewer")},
        "/api": {"get": _page("Show this document", "viewer")},
    }


def _page(summary: str, role: str | None) -> Json:
    # Whoever has no token is sent to the page where it can be given.
    answers = {"200": text_of("The page.", "text/html")}
    if role:
        answers["303"] = {"description": "To `/login`, for a browser without a token."}
    return operation(_PAGES, summary, answers, role=role)


def _told(summary: str, schema: Json) -> Json:
    return operation(_OPERATION, summary, {"200": json_of("It does.", schema)}, role=None)


def _just(**properties: Json) -> Json:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def webrtc_paths() -> dict[str, Json]:
    """Describe them by path."""
    whip = "Publish what an encoder sends (WHIP, RFC 9725)"
    whep = "Watch in a player (WHEP, draft-ietf-wish-whep)"
    return {
        "/offer": {"post": _offer()},
        "/api/ice": {"get": _ice()},
        **_exchange("/whip", whip, "admin"),
        **_exchange("/whep", whep, "viewer"),
    }


def _exchange(path: str, summary: str, role: str) -> dict[str, Json]:
    created = {
        "Location": header("The session's path: PATCH adds candidates, DELETE ends it."),
        "Accept-Patch": header("What PATCH takes."),
        "Link": header("ICE servers, if there are any.", required=False),
        **_TAGGED,
    }
    may = {"Allow": header("What may be done here.")}
    options = operation(
        _TAG,
        "Tell what may be done here",
        {"204": bytes_of("See `Allow`.", headers=may)},
        role=None,
    )
    begin = operation(
        _TAG,
        summary,
        {"201": text_of("The answer.", "application/sdp", headers=created)},
        parameters=[NAME],
        body=_SDP,
        errors=["400", "404", "406", "409", "415"],
        role=role,
    )
    trickle = operation(
        _TAG,
        "Add candidates (RFC 8840)",
        {"204": bytes_of("They are added.", headers=_TAGGED)},
        parameters=[NAME, _SESSION, _IF_MATCH],
        body=_FRAGMENT,
        errors=["400", "404", "412", "415", "422", "428"],
        role=role,
    )
    end = operation(
        _TAG,
        "End the session",
        {"200": {"description": "It is over."}},
        parameters=[NAME, _SESSION],
        errors=["404"],
        role=role,
    )
    begun = {
        "delete": end,
        "patch": trickle,
        "options": {**options, "parameters": [_ANY_NAME, _ANY_SESSION]},
    }
    return {
        f"{path}/{{name}}": {"post": begin, "options": {**options, "parameters": [_ANY_NAME]}},
        f"{path}/{{name}}/{{session}}": begun,
    }


def _offer() -> Json:
    name = {"type": "string", "pattern": NAME_PATTERN}
    offer = {
        "type": "object",
        "properties": {
            "sdp": {"type": "string"},
            "type": {"const": "offer"},
            "source": {"enum": ["peer", "demo", "feed"], "default": "peer"},
            "feed": {**name, "description": "With the source `feed`: which one to watch."},
            "publish": {**name, "description": "With the source `peer`: to be watched by others."},
        },
        "required": ["sdp", "type"],
    }
    return operation(
        _TAG,
        "Begin a session, or watch a feed",
        {"200": json_of("The answer; captions come on the data channel.", ref("Session"))},
        description="The offer has one video track and a data channel `captions`, whose messages "
        "`stream/schema.json` describes. The source `feed` needs a viewer, all others an admin.",
        body={"application/json": {"schema": offer}},
        errors=["400", "404", "409"],
    )


def _ice() -> Json:
    server = {
        "type": "object",
        "properties": {
            "urls": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "username": {"type": "string"},
            "credential": {"type": "string"},
        },
        "required": ["urls"],
    }
    servers = {
        "type": "object",
        "properties": {"ice_servers": {"type": "array", "items": server}},
        "required": ["ice_servers"],
        "additionalProperties": False,
    }
    return operation(
        _TAG,
        "List the ICE servers to use",
        {"200": json_of("As RTCConfiguration has them.", servers)},
    )
