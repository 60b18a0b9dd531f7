"""Operations of WebRTC signaling: offers, ICE servers, WHIP and WHEP."""

from web.openapi.operation import (
    NAME,
    NAME_PATTERN,
    Json,
    bytes_response,
    header,
    json_response,
    object_schema,
    operation,
    path_parameter,
    query_parameter,
    ref,
    text_response,
)

_TAG = "Video"
_SESSION = path_parameter("session", "From the `Location` header.", r"^[A-Za-z0-9_-]{1,64}$")

# OPTIONS gives the same response for any name and session.
_ANY_NAME = path_parameter("name", "Any name.", ".")
_ANY_SESSION = path_parameter("session", "Any session.", ".")

_SDP = {"application/sdp": {"schema": {"type": "string"}}}
_FRAGMENT = {"application/trickle-ice-sdpfrag": {"schema": {"type": "string"}}}
_TICKET = query_parameter("ticket", "From the `Location` of a redirect.", {"type": "string"})
_IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "required": True,
    "description": "The session's ETag.",
    "schema": {"type": "string", "pattern": '^"[A-Za-z0-9_-]+"$'},
}
_REDIRECT = {
    "description": "In a cluster: another server captions the feed. Send the same request there.",
    "headers": {"Location": header("The URL, with a ticket that is valid for 30 s.")},
}
_ETAG = {"ETag": header("The entity tag of the ICE session.")}


def webrtc_paths() -> dict[str, Json]:
    """Return the operations by path."""
    whip = "Publish a session from an encoder (WHIP, RFC 9725)"
    whep = "Watch a feed in a player (WHEP, draft-ietf-wish-whep)"
    return {
        "/offer": {"post": _offer()},
        "/api/ice": {"get": _ice_servers()},
        **_exchange("/whip", whip, "admin"),
        **_exchange("/whep", whep, "viewer"),
    }


def _offer() -> Json:
    name = {"type": "string", "pattern": NAME_PATTERN}
    offer = {
        "type": "object",
        "properties": {
            "sdp": {"type": "string"},
            "type": {"const": "offer"},
            "source": {"enum": ["peer", "demo", "feed"], "default": "peer"},
            "feed": {**name, "description": "With the source `feed`: the feed to watch."},
            "returned_video": {
                "enum": ["annotated", "plain"],
                "default": "annotated",
                "description": "With the source `feed`: the video with its caption, or without.",
            },
            "publish": {
                **name,
                "description": "With the source `peer`: the name to publish the session under. "
                "While it is published, its captions are stored in the history, if that is on.",
            },
        },
        "required": ["sdp", "type"],
    }
    return operation(
        _TAG,
        "Start a session or watch a feed",
        {
            "200": json_response("The answer; captions come on the data channel.", ref("Session")),
            "307": _REDIRECT,
        },
        parameters=[_TICKET],
        description="The offer has one video track and a data channel `captions`; "
        "`stream/data_channel/schema.json` describes its messages. The source `feed` requires the "
        "role viewer, the others admin.",
        body={"application/json": {"schema": offer}},
        errors=["400", "404", "409"],
    )


def _ice_servers() -> Json:
    server = {
        "type": "object",
        "properties": {
            "urls": {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
            "username": {"type": "string"},
            "credential": {"type": "string"},
        },
        "required": ["urls"],
    }
    servers = object_schema({"ice_servers": {"type": "array", "items": server}})
    return operation(
        _TAG,
        "List ICE servers",
        {"200": json_response("In the format of `RTCConfiguration.iceServers`.", servers)},
    )


def _exchange(path: str, summary: str, role: str) -> dict[str, Json]:
    created = {
        "Location": header("The session's path: PATCH adds candidates, DELETE ends the session."),
        "Accept-Patch": header("The content type of PATCH."),
        "Link": header("ICE servers, if configured.", required=False),
        **_ETAG,
    }
    allow = {"Allow": header("The allowed methods.")}
    options = operation(
        _TAG,
        "List allowed methods",
        {"204": bytes_response("See `Allow`.", headers=allow)},
        role=None,
    )
    caption = query_parameter(
        "caption",
        "Whether the caption is drawn on the video.",
        {"enum": ["on", "off"], "default": "on"},
    )
    watches = path == "/whep"
    answer = text_response("The SDP answer.", "application/sdp", headers=created)
    start = operation(
        _TAG,
        summary,
        {"201": answer, "307": _REDIRECT} if watches else {"201": answer},
        parameters=[NAME, caption, _TICKET] if watches else [NAME],
        body=_SDP,
        errors=["400", "404", "406", "409", "415"],
        role=role,
    )
    trickle = operation(
        _TAG,
        "Add ICE candidates (RFC 8840)",
        {"204": bytes_response("The candidates were added.", headers=_ETAG)},
        parameters=[NAME, _SESSION, _IF_MATCH],
        body=_FRAGMENT,
        errors=["400", "404", "412", "415", "422", "428"],
        role=role,
    )
    end = operation(
        _TAG,
        "End a session",
        {"200": {"description": "The session has ended."}},
        parameters=[NAME, _SESSION],
        errors=["404"],
        role=role,
    )
    session = {
        "delete": end,
        "patch": trickle,
        "options": {**options, "parameters": [_ANY_NAME, _ANY_SESSION]},
    }
    return {
        f"{path}/{{name}}": {"post": start, "options": {**options, "parameters": [_ANY_NAME]}},
        f"{path}/{{name}}/{{session}}": session,
    }
