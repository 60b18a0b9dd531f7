"""Feeds, and their captions as programs and players read them."""

from web.openapi.operation import (
    NAME,
    TIME,
    Json,
    bytes_of,
    in_query,
    json_of,
    operation,
    ref,
    text_of,
)

_TAG = "Feeds"
_EVENTS = (
    "Server-sent events: `caption` (its data is a Caption), `signal` (`{feed, signal}`; the signal "
    "is null once the feed is gone) and `missed` (`{count}`: captions that this reader was too "
    "slow for). The newest caption and the signal come at once, or, with `Last-Event-ID`, all "
    "captions since that one; comments are heartbeats."
)
_LAST = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "description": "The id of the last caption that came, as browsers send it by themselves.",
    "schema": {"type": "string"},
}


def paths() -> dict[str, Json]:
    """Describe them by path."""
    everything = {"type": "array", "items": ref("Feed")}
    feeds = {
        "type": "object",
        "properties": {"feeds": everything},
        "required": ["feeds"],
        "additionalProperties": False,
    }
    return {
        "/api/feeds": {
            "get": operation(
                _TAG,
                "List what can be watched",
                {"200": json_of("All feeds and published sessions.", feeds)},
            )
        },
        "/api/feeds/{name}": {
            "get": operation(
                _TAG,
                "Tell how it is with a feed",
                {"200": json_of("The feed.", ref("Feed"))},
                parameters=[NAME],
                errors=["404"],
            )
        },
        "/api/feeds/{name}/picture": {
            "get": operation(
                _TAG,
                "Give the picture of the newest caption",
                {"200": bytes_of("The picture, with nothing on it.", "image/jpeg")},
                parameters=[NAME],
                errors=["404"],
            )
        },
        "/api/events": {
            "get": operation(
                _TAG,
                "Follow the captions of all feeds",
                {"200": text_of("Events without end.", "text/event-stream")},
                description=_EVENTS,
                parameters=[_LAST],
            )
        },
        "/api/feeds/{name}/events": {
            "get": operation(
                _TAG,
                "Follow the captions of a feed",
                {"200": text_of("Events until the feed is gone.", "text/event-stream")},
                description=_EVENTS,
                parameters=[NAME, _LAST],
                errors=["404"],
            )
        },
        "/api/feeds/{name}/captions.jsonl": {"get": _lines()},
        "/api/feeds/{name}/captions.vtt": {"get": _subtitles()},
    }


def _lines() -> Json:
    limit = {"type": "integer", "minimum": 1, "maximum": 1_000_000}
    return operation(
        _TAG,
        "Follow the captions of a feed as JSON Lines",
        {"200": text_of("A Caption a line.", "application/jsonl")},
        description="The newest caption comes at once. Spaces before a line are heartbeats.",
        parameters=[NAME, in_query("limit", "End after so many lines.", limit)],
        errors=["400", "404"],
    )


def _subtitles() -> Json:
    zero = in_query(
        "zero",
        "What is 00:00:00.000 on the clock: seconds since the Unix epoch, or RFC 3339. A player "
        "takes the time of a subtitle from where its video begins, so for a live video give the "
        "time now less the video's `currentTime`. Without, it is when the feed's first caption "
        "was, which stays the same as long as the feed is there.",
        TIME,
    )
    follow = in_query(
        "follow",
        "Whether cues go on coming, each as it is said. For a player that shows a track while it "
        "still loads, as Chromium does; FFmpeg and most others read to the end first.",
        {"enum": ["true", "false"], "default": "false"},
    )
    return operation(
        _TAG,
        "Read what a feed said as WebVTT",
        {"200": text_of("The last ten minutes; or, with `follow`, from now on.", "text/vtt")},
        description="Without `follow` it is a finished file, to be asked for again now and then; "
        "its last cue lasts for two intervals.",
        parameters=[NAME, zero, follow],
        errors=["400", "404"],
    )
