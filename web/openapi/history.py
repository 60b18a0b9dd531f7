"""Operations on past captions."""

from stream.history import EXPORT_FORMATS, MAX_BUCKETS, MAX_HOURS_S, MAX_SUMMARY_S
from web.openapi.operation import (
    COUNT,
    FEED,
    NAME_TEXT,
    TEXT,
    TIME,
    TIMESTAMP,
    Json,
    bytes_response,
    header,
    json_response,
    object_schema,
    operation,
    page_parameters,
    path_parameter,
    query_parameter,
    ref,
    text_response,
)

_TAG = "History"
_TIME_FORMAT = "seconds since the Unix epoch, or RFC 3339, such as 2026-01-31T09:00:00Z"
FROM = query_parameter("from", f"Only captions that ended at or after: {_TIME_FORMAT}.", TIME)
TO = query_parameter(
    "to",
    f"Only captions that began before: {_TIME_FORMAT}. The default is now, unless `from` is later; "
    "a deletion without it includes captions that are dated ahead of the clock.",
    TIME,
)
_Q = query_parameter(
    "q",
    "Words to find in captions, objects and guesses. All must occur, in any inflected form: `dog` "
    "finds dogs. Words without content, such as those of a question, are ignored.\n\n"
    '`"red car"` finds exactly these words side by side, `bicy*` words that begin so, `cat OR dog` '
    "either, and `-snow` or `NOT snow` leaves captions with the word out. OR binds more strongly "
    "than the space between words; parentheses group. Operators are in capitals. Other signs are "
    "ignored, and every text is a valid search if it has 1 to 16 words.",
    TEXT,
)
_WIDENED = query_parameter(
    "match",
    "`all` includes what synonyms and more specific words of the search find.",
    {"enum": ["exact", "all"], "default": "exact"},
)

_SPAN = path_parameter("span", "The id of a span.", "^[0-9]{1,18}$")
_PICTURES = (
    "Pictures are stored only if `pictures` in `[history]` says so, and only of feeds. With "
    '`pictures_for = "admin"` viewers get 403.'
)
_CACHED = {"Cache-Control": header("`private, max-age=3600, immutable`.")}


def history_paths() -> dict[str, Json]:
    """Return the operations by path; without a history all return 404, `history-off`."""
    filters = [_Q, FEED, FROM, TO]
    return {
        "/api/history/search": {"get": _search(filters)},
        "/api/history/timeline": {"get": _timeline(filters)},
        "/api/history/summary": {"get": _summary()},
        "/api/history/export": {"get": _export(filters)},
        "/api/history/{span}/picture": {"get": _picture()},
        "/api/history/{span}/maps": {"get": _maps()},
        "/api/history": {"delete": _delete()},
    }


def summary_schema() -> Json:
    """Describe the summary of a feed over a period, and over its hours."""

    def seconds(description: str) -> Json:
        return {"type": "number", "minimum": 0, "description": f"Seconds {description}."}

    mentioned = {
        "text": {**TEXT, "description": "The word for it that captions use most, or the tag."},
        "seconds": seconds("in which captions or tags state it"),
        "captions": COUNT,
        "times": {**COUNT, "description": "Number of stays, with a minute or more between them."},
        "first": TIMESTAMP,
        "last": TIMESTAMP,
    }
    names = {"type": "array", "items": TEXT}
    change = {"at": TIMESTAMP, "appeared": names, "gone": names}
    period = {
        "feed": NAME_TEXT,
        "from": TIMESTAMP,
        "to": TIMESTAMP,
        "captions": COUNT,
        "captioned_s": seconds("with captions"),
        "unsure_s": seconds("of captions of low confidence, whose words do not count"),
        "blank_s": seconds("in which the video showed nothing"),
        "uncalibrated_s": seconds("of captions without a confidence, which may be wrong unnoticed"),
        "objects": {
            "type": "array",
            "items": object_schema(mentioned),
            "description": "Those stated for longest, with inflections and synonyms merged.",
        },
        "more_objects": {**COUNT, "description": "Objects that are left out."},
        "changes": {
            "type": "array",
            "items": object_schema(change),
            "description": "Times at which an object was stated, or no longer, after a minute of "
            "captions that were sure and said otherwise; the latest. Of listed objects only.",
        },
        "more_changes": {**COUNT, "description": "Earlier changes that are left out."},
        "text": {**TEXT, "description": "The summary in a line of English."},
    }
    hours = {
        "type": "array",
        "items": object_schema(period),
        "description": "A summary of each hour that has captions; empty unless `hours=true`.",
    }
    feeds = {"type": "array", "items": object_schema({**period, "hours": hours})}
    return object_schema({"from": TIMESTAMP, "to": TIMESTAMP, "feeds": feeds})


def _search(filters: list[Json]) -> Json:
    match = {"enum": ["exact", "all", "similar", "partial"], "default": "exact"}
    return operation(
        _TAG,
        "Search past captions",
        {"200": json_response("The spans, of each kind the latest first.", ref("Found"))},
        parameters=[
            *filters,
            query_parameter(
                "match",
                "`exact` finds the words in any form. `all` then also returns what "
                "synonyms and more specific words find (`puppy` and `animal` find a dog), "
                "and last, of three to six words, what all but one of them find; `similar` "
                "these two alone, and `partial` the last. Quoted and excluded words are "
                "always exact.",
                match,
            ),
            *page_parameters("spans", "Only spans older than this id, of the first kind."),
            query_parameter(
                "pictured",
                "Only spans with a picture; none for clients that may not see pictures.",
                {"type": "boolean", "default": False},
            ),
        ],
        errors=["400", "404"],
    )


def _timeline(filters: list[Json]) -> Json:
    buckets = {"type": "integer", "minimum": 1, "maximum": MAX_BUCKETS, "default": 60}
    return operation(
        _TAG,
        "Count past captions over time",
        {"200": json_response("Buckets of equal length.", ref("Timeline"))},
        description="Without `from` and `to`, from the first caption to the last; no "
        "buckets if there is none.",
        parameters=[
            *filters,
            _WIDENED,
            query_parameter("buckets", "Number of buckets.", buckets),
        ],
        errors=["400", "404"],
    )


def _summary() -> Json:
    hours = {"enum": ["true", "false"], "default": "false"}
    return operation(
        _TAG,
        "Summarize past captions",
        {"200": json_response("A summary of each feed that has captions.", ref("Summaries"))},
        description="Which objects captions and tags stated, for how long, and what changed. "
        "Captions of low confidence do not count. Without `from`, of the hour before `to`; at most "
        f"{MAX_SUMMARY_S / 86_400:.0f} days.",
        parameters=[
            FEED,
            FROM,
            TO,
            query_parameter(
                "hours",
                f"Whether to summarize each hour, too; then at most {MAX_HOURS_S / 3600:.0f} "
                "hours. They count from `from`.",
                hours,
            ),
        ],
        errors=["400", "404"],
    )


def _export(filters: list[Json]) -> Json:
    name = query_parameter("format", "File format.", {"enum": list(EXPORT_FORMATS)}, required=True)
    types = [each.content_type for each in EXPORT_FORMATS.values()]
    attachment = {"Content-Disposition": header("The file name.")}
    return operation(
        _TAG,
        "Export past captions",
        {"200": text_response("The file, oldest captions first.", *types, headers=attachment)},
        description="Subtitle times count from `from` or, without it, from the first caption. "
        "Subtitles of a feed never overlap.",
        parameters=[name, *filters, _WIDENED],
        errors=["400", "404"],
    )


def _picture() -> Json:
    image = bytes_response("The picture.", "image/webp", headers=_CACHED)
    return operation(
        _TAG,
        "Get the picture of a past caption",
        {"200": image},
        description=_PICTURES,
        parameters=[_SPAN],
        errors=["400", "404"],
    )


def _maps() -> Json:
    word = object_schema({"text": TEXT, "map": ref("map")})
    maps = object_schema(
        {
            "method": TEXT,
            "caption": ref("map"),
            "words": {"type": "array", "items": word},
        }
    )
    found = json_response("The maps of the caption and of its words.", maps)
    return operation(
        _TAG,
        "Get the maps of a past caption",
        {"200": {**found, "headers": _CACHED}},
        description=f"{_PICTURES} A caption for which no maps were computed has none.",
        parameters=[_SPAN],
        errors=["400", "404"],
    )


def _delete() -> Json:
    deleted = object_schema({"deleted": COUNT})
    everything = {"enum": ["true", "false"], "default": "false"}
    return operation(
        _TAG,
        "Delete past captions",
        {"200": json_response("The number of spans deleted.", deleted)},
        description="Pass a feed, a time range or both; or `all=true` and nothing else.",
        parameters=[FEED, FROM, TO, query_parameter("all", "Delete everything.", everything)],
        errors=["400", "404"],
        role="admin",
    )
