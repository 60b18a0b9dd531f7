"""What feeds have said before."""

from stream.history.export import FORMS
from stream.history.reading import MOST_BUCKETS, MOST_SPANS
from web.openapi.operation import (
    FEED,
    TIME,
    Json,
    header,
    in_query,
    json_of,
    operation,
    ref,
    text_of,
)

_TAG = "History"
_OF_TIME = "seconds since the Unix epoch, or RFC 3339, as in 2026-01-31T09:00:00Z"
_FROM = in_query("from", f"Only what lasted until then or longer: {_OF_TIME}.", TIME)
_TO = in_query("to", f"Only what began before: {_OF_TIME}.", TIME)
_Q = in_query(
    "q",
    "Words to look for in captions, objects and guesses; all must occur, in any form (dog finds "
    "dogs), those between quotes side by side. Of a question only what means something counts.",
    {"type": "string"},
)


def paths() -> dict[str, Json]:
    """Describe them by path; without a history all of them answer 404, `history-off`."""
    limit = {"type": "integer", "minimum": 1, "maximum": MOST_SPANS, "default": 50}
    before = {"type": "integer", "minimum": 0, "maximum": 10**18 - 1}
    buckets = {"type": "integer", "minimum": 1, "maximum": MOST_BUCKETS, "default": 60}
    choice = [_Q, FEED, _FROM, _TO]
    return {
        "/api/history/search": {
            "get": operation(
                _TAG,
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
                _TAG,
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
        _TAG,
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
        _TAG,
        "Delete",
        {"200": json_of("How many spans were deleted.", deleted)},
        description="Name a feed, a time or both; or `all=true` and nothing else.",
        parameters=[FEED, _FROM, _TO, in_query("all", "Whether to delete everything.", every)],
        errors=["400", "404"],
        role="admin",
    )
