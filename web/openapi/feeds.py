"""Operations on feeds and their live captions."""

from web.openapi.operation import (
    NAME,
    TIME,
    Json,
    bytes_response,
    json_response,
    object_schema,
    operation,
    query_parameter,
    ref,
    text_response,
)

_TAG = "Feeds"
_EVENTS = (
    "Server-sent events: `caption` (its data is a Caption), `signal` (`{feed, signal}`; the signal "
    "is null once the feed is removed), `rule` (a Firing, when it begins and when it ends) and "
    "`missed` (`{count}`: captions dropped because this subscriber was too slow). The stream "
    "starts with the signal, the firings that last and the latest caption or, with "
    "`Last-Event-ID`, with all captions since that one. Comments are heartbeats."
)

_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last caption received; browsers send it when they reconnect.",
    "schema": {"type": "string"},
}

_MAPS = query_parameter(
    "maps",
    "Whether captions come with their word maps, as far as they were computed; null if not.",
    {"enum": ["true", "false"], "default": "false"},
)

_SCHEME = query_parameter(
    "scheme",
    "The link's scheme, if the server does not know it: behind a proxy that ends TLS and that it "
    "does not trust. The default is that of the request.",
    {"enum": ["http", "https"]},
)


def feed_paths() -> dict[str, Json]:
    """Return the operations by path."""
    feeds = object_schema(
        {
            "feeds": {"type": "array", "items": ref("Feed")},
            "history": {
                "type": "boolean",
                "description": "Whether captions of feeds and published sessions are stored.",
            },
            "pictures": {
                "type": "boolean",
                "description": "Whether pictures of feeds are stored with their captions.",
            },
        }
    )
    return {
        "/api/feeds": {
            "get": operation(
                _TAG,
                "List feeds",
                {"200": json_response("All feeds and published sessions.", feeds)},
            )
        },
        "/api/feeds/{name}": {
            "get": operation(
                _TAG,
                "Get a feed",
                {"200": json_response("The feed.", ref("Feed"))},
                parameters=[NAME],
                errors=["404"],
            )
        },
        "/api/feeds/{name}/picture": {
            "get": operation(
                _TAG,
                "Get the frame of a feed's latest caption",
                {"200": bytes_response("The frame, without caption or maps.", "image/jpeg")},
                parameters=[NAME],
                errors=["404"],
            )
        },
        "/api/feeds/{name}/qr.svg": {
            "get": operation(
                _TAG,
                "Get the link to a feed's page as a QR code",
                {"200": text_response("The QR code.", "image/svg+xml")},
                parameters=[NAME, _SCHEME],
                errors=["400", "404"],
            )
        },
        "/api/events": {
            "get": operation(
                _TAG,
                "Stream all feeds' captions as server-sent events",
                {"200": text_response("An endless event stream.", "text/event-stream")},
                description=_EVENTS,
                parameters=[_MAPS, _LAST_EVENT_ID],
                errors=["400"],
            )
        },
        "/api/feeds/{name}/events": {
            "get": operation(
                _TAG,
                "Stream a feed's captions as server-sent events",
                {
                    "200": text_response(
                        "An event stream that ends when the feed is removed.", "text/event-stream"
                    )
                },
                description=_EVENTS,
                parameters=[NAME, _MAPS, _LAST_EVENT_ID],
                errors=["400", "404"],
            )
        },
        "/api/feeds/{name}/captions.jsonl": {"get": _json_lines()},
        "/api/feeds/{name}/captions.vtt": {"get": _subtitles()},
    }


def _json_lines() -> Json:
    limit = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
    return operation(
        _TAG,
        "Stream a feed's captions as JSON Lines",
        {"200": text_response("One Caption a line.", "application/jsonl")},
        description="Starts with the latest caption. Spaces before a line are heartbeats.",
        parameters=[NAME, query_parameter("limit", "End after this many lines.", limit), _MAPS],
        errors=["400", "404"],
    )


def _subtitles() -> Json:
    zero = query_parameter(
        "zero",
        "The time of 00:00:00.000: seconds since the Unix epoch, or RFC 3339. Players count "
        "subtitle times from the start of their video, so for a live video pass the current time "
        "minus the video's `currentTime`. The default is the time of the feed's first caption, "
        "which stays the same while the feed exists.",
        TIME,
    )
    follow = query_parameter(
        "follow",
        "Whether to keep sending cues as captions arrive. For players that show a track while it "
        "is loading, such as Chromium; FFmpeg and most others read the whole file first.",
        {"enum": ["true", "false"], "default": "false"},
    )
    return operation(
        _TAG,
        "Get a feed's captions as WebVTT",
        {
            "200": text_response(
                "The last ten minutes or, with `follow`, cues from now on.", "text/vtt"
            )
        },
        description="Without `follow` the response is a complete file, to be requested again from "
        "time to time; its last cue lasts for two intervals.",
        parameters=[NAME, zero, follow],
        errors=["400", "404"],
    )
