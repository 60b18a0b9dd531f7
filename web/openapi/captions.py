"""Feeds, and their captions as programs and players read them.

What feeds have said before.
"""

from stream.history import FORMS, MOST_BUCKETS, MOST_SPANS
from web.openapi.operation import (
    FEED,
    NAME,
    TIME,
    Json,
    bytes_of,
    header,
    in_query,
    json_of,
    operation,
    ref,
    text_of,
)

_FEEDS = "Feeds"
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

_HISTORY = "History"
_OF_TIME = "seconds since the Unix epoch, or RFC 3339, as in 2026-01-31T09:00:00Z"
_FROM = in_query("from", f"Only what lasted until then or longer: {_OF_TIME}.", TIME)
_TO = in_query("to", f"Only what began before: {_OF_TIME}.", TIME)
_Q = in_query(
    "q",
    "Words to look for in captions, objects and guesses; all must occur, in any form (dog finds "
    "dogs), those between quotes side by side. Of a question only what means something counts.",
    {"type": "string"},
)


def feed_paths() -> dict[str, Json]:
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
                _FEEDS,
                "List what can be watched",
                {"200": json_of("All feeds and published sessions.", feeds)},
            )
        },
        "/api/feeds/{name}": {
            "get": operation(
                _FEEDS,
                "Tell how it is with a feed",
                {"200": json_of("The feed.", ref("Feed"))},
                parameters=[NAME],
                errors=["404"],
            )
        },
        "/api/feeds/{name}/picture": {
            "get": operation(
                _FEEDS,
                "Give the picture of the newest caption",
                {"200": bytes_of("The picture, with nothing on it.", "image/jpeg")},
                parameters=[NAME],
                errors=["404"],
            )
        },
        "/api/events": {
            "get": operation(
                _FEEDS,
                "Follow the captions of all feeds",
                {"200": text_of("Events without end.", "text/event-stream")},
                description=_EVENTS,
                parameters=[_LAST],
            )
        },
        "/api/feeds/{name}/events": {
            "get": operation(
                _FEEDS,
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
        _FEEDS,
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
        _FEEDS,
        "Read what a feed said as WebVTT",
        {"200": text_of("The last ten minutes; or, with `follow`, from now on.", "text/vtt")},
        description="Without `follow` it is a finished file, to be asked for again now and then; "
        "its last cue lasts for two intervals.",
        parameters=[NAME, zero, follow],
        errors=["400", "404"],
    )


def history_paths() -> dict[str, Json]:
    """Describe them by path; without a history all of them answer 404, `history-off`."""
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_SPANS, "default": 50}
    before = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    buckets = {"type": "integer", "minimum": 1, "maximum": MOST_BUCKETS, "default": 60}
    choice = [_Q, FEED, _FROM, _TO]
    return {
        "/api/history/search": {
            "get": operation(
                _HISTORY,
                "Search, the newest first",
                {"200": json_of("What was found.", ref("Found"))},
                parameters=[
                    *choice,
                    in_query("limit", "How many at most.", limit),
                    in_query("before", "Only what is older than this id.", before),
                ],
                errors=["400", "404"],
            )
        },
        "/api/history/timeline": {
            "get": operation(
                _HISTORY,
                "Count in equal parts of a time",
                {"200": json_of("The parts.", ref("Timeline"))},
                description="Without `from` and `to` from the first caption to the last.",
                parameters=[*choice, in_query("buckets", "How many parts.", buckets)],
                errors=["400", "404"],
            )
        },
        "/api/history/export": {"get": _export(choice)},
        "/api/history": {"delete": _delete()},
    }


def _export(choice: list[Json]) -> Json:
    form = in_query("format", "The form of the file.", {"enum": list(FORMS)}, required=True)
    types = [form.content_type for form in FORMS.values()]
    attached = {"Content-Disposition": header("The file's name.")}
    return operation(
        _HISTORY,
        "Take a copy, the oldest first",
        {"200": text_of("The file.", *types, headers=attached)},
        description="Subtitles begin at `from` or, without, with the first caption.",
        parameters=[form, *choice],
        errors=["400", "404"],
    )


def _delete() -> Json:
    deleted = {
        "type": "object",
        "properties": {"deleted": {"type": "integer", "minimum": 0}},
        "required": ["deleted"],
        "additionalProperties": False,
    }
    every = {"enum": ["true", "false"], "default": "false"}
    return operation(
        _HISTORY,
        "Delete",
        {"200": json_of("How many spans were deleted.", deleted)},
        description="Name a feed, a time or both; or `all=true` and nothing else.",
        parameters=[FEED, _FROM, _TO, in_query("all", "Whether to delete everything.", every)],
        errors=["400", "404"],
        role="admin",
    )
