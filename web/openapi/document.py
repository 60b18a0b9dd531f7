"""The OpenAPI document, and the JSON schemas that it refers to.

Schemas of captions derive from the schema of the data channel.
"""

import json
from functools import cache
from typing import Any

from stream.captioned_stream import SignalState
from stream.data_channel import SCHEMA_PATH
from stream.history import MATCHES
from web.completions import request_schemas
from web.openapi.completions import completion_paths, completion_schemas
from web.openapi.feeds import feed_paths
from web.openapi.history import history_paths, summary_schema
from web.openapi.images import image_paths, image_schemas
from web.openapi.operation import COUNT, NAME_TEXT, TEXT, TIMESTAMP, Json, object_schema, ref
from web.openapi.rules import rule_paths, rule_schemas
from web.openapi.server import server_paths
from web.openapi.webrtc import webrtc_paths

_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_SAID = {**TEXT, "description": "The caption as displayed, with a note if confidence is low."}
_ID = {
    "type": "integer",
    "description": "The start in microseconds since the Unix epoch, made unique.",
}


_SHARED = (
    *("kind", "left_s", "summary", "analysis", "method", "source", "model"),
    *("place", "target", "map"),
)
"""Schemas of the data channel that the document uses as they are."""


def schemas() -> dict[str, Json]:
    """Return all schemas of the document by name."""
    messages = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))["$defs"]
    shared = {name: messages[name] for name in ("probability", "count", "milliseconds", "map")}
    caption = _caption(messages["caption"])
    return {
        **shared,
        **{name: _rebase(messages[name]) for name in _SHARED},
        "Error": object_schema({"error": object_schema({"code": TEXT, "message": TEXT})}),
        "Signal": object_schema(
            {
                "state": {"enum": [state.value for state in SignalState]},
                "since": TIMESTAMP,
                "message": {**TEXT, "description": "The reason, for people."},
            }
        ),
        "Caption": caption,
        "Feed": object_schema(
            {
                "name": NAME_TEXT,
                "title": TEXT,
                "kind": {"enum": ["feed", "session"]},
                "signal": ref("Signal"),
                "interval_s": {"type": "number"},
                "explanations": {"enum": ["all", "words", "none"]},
                "viewers": COUNT,
                "caption": {"oneOf": [{"type": "null"}, ref("Caption")]},
                "history": {"type": "boolean", "description": "Whether captions are stored."},
                "pictures": {
                    "type": "boolean",
                    "description": "Whether pictures are stored with its captions.",
                },
                "links": object_schema(
                    dict.fromkeys(("events", "captions", "subtitles", "whep", "picture"), TEXT)
                ),
            }
        ),
        "Span": _span(),
        "Found": object_schema(
            {
                "spans": {"type": "array", "items": ref("Span")},
                "before": {
                    "oneOf": [{"type": "null"}, _ID],
                    "description": "Pass it as `before` to get further spans; null at the end.",
                },
                "next_match": {
                    "enum": [None, "exact", "all", "similar", "partial"],
                    "description": "Pass it as `match` together with `before`.",
                },
                "synonyms": {
                    "type": "array",
                    "items": TEXT,
                    "description": "Further words that were looked for, if `match` is not `exact`.",
                },
            }
        ),
        "Timeline": _timeline(),
        "Summaries": summary_schema(),
        "Role": {"enum": ["admin", "viewer", "captions", None]},
        "Session": object_schema({"sdp": TEXT, "type": {"const": "answer"}, "stream": TEXT}),
        **image_schemas(caption["properties"]),
        **rule_schemas(),
        **completion_schemas(),
        **request_schemas(),
    }


def _caption(message: Json) -> Json:
    """Derive the schema from the data channel's caption: maps on request, with feed and line."""
    kept = {name: _rebase(rule) for name, rule in message["properties"].items() if name != "type"}
    schema = object_schema({"feed": NAME_TEXT, "said": _SAID, **kept})
    optional = {"maps", *kept.keys() - set(message["required"])}
    return {**schema, "required": [name for name in schema["required"] if name not in optional]}


def _span() -> Json:
    tag = object_schema({"text": TEXT, "prob": ref("probability")})
    span = object_schema(
        {
            "id": _ID,
            "feed": NAME_TEXT,
            "from": TIMESTAMP,
            "to": TIMESTAMP,
            "captions": COUNT,
            "text": TEXT,
            "said": _SAID,
            "confidence": {
                **_PROBABILITY,
                "type": ["number", "null"],
                "description": "Null if the captioner is not calibrated.",
            },
            "fallback": {"enum": [None, "shorter", "words", "tags", "blank"]},
            "guess": TEXT,
            "tags": {"type": "array", "items": tag},
            "picture": {
                "type": ["string", "null"],
                "description": "Path of its picture; null if none is stored, or the client may "
                "not see it.",
            },
        },
        "A period in which a feed's caption stayed the same.",
    )
    # Exports have no order of matches.
    span["properties"]["match"] = {
        "enum": list(MATCHES),
        "description": "In results of a search, how it fits: by the words that were searched for, "
        "by synonyms or more specific words, or by all but one of these.",
    }
    return span


def _timeline() -> Json:
    word = object_schema({"text": TEXT, "spans": COUNT})
    bucket = {
        "from": TIMESTAMP,
        "to": TIMESTAMP,
        "spans": COUNT,
        "captions": COUNT,
        "words": {
            "type": "array",
            "items": word,
            "description": "The most frequent words, counted in up to 200 spans.",
        },
    }
    return object_schema(
        {
            "from": TIMESTAMP,
            "to": TIMESTAMP,
            "feeds": {
                "type": "array",
                "items": NAME_TEXT,
                "description": "All feeds in the history.",
            },
            "buckets": {"type": "array", "items": object_schema(bucket)},
            "ahead": {
                **COUNT,
                "description": "Spans that are left out because they are dated ahead of the "
                "clock; pass a later `from` to get them.",
            },
        }
    )


def _rebase(rule: Any) -> Any:
    """Point the references of the data channel's schema into this document."""
    if isinstance(rule, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/")
            if key == "$ref"
            else _rebase(value)
            for key, value in rule.items()
        }
    return [_rebase(each) for each in rule] if isinstance(rule, list) else rule


_TAGS = {
    "Feeds": "Cameras that the server captions around the clock, and published sessions.",
    "History": "Past captions; off until a path is configured.",
    "Rules": "What to be told of: words in captions, and when a rule fired.",
    "Video": "Send and receive video over WebRTC.",
    "Images": "Captions and explanations of images that a program sends.",
    "OpenAI API": "Captions of images, for programs that use the OpenAI API. Its base URL is this "
    "server's with `/v1`; its errors are `{error: {message, type, param, code}}`.",
    "Analysis": "Frames and reports of a session, for clients that have its id.",
    "Access": "Tokens and roles.",
    "Operation": "Health, metrics and this document.",
    "Pages": "Pages for people.",
}

_DESCRIPTION = (
    "Live captions of cameras: their feeds, viewers, current and past captions. Send a token in "
    "`Authorization: Bearer TOKEN`; on the loopback address without tokens every client is an "
    "admin. Errors are `{error: {code, message}}`: the code is for programs, the message for "
    "people."
)


@cache
def document() -> Json:
    """Return the document; callers must not modify it."""
    cookie = {"type": "apiKey", "in": "cookie", "name": "sightline-ID"}
    return {
        "openapi": "3.1.0",
        # Relative to the document, since a reverse proxy may add a prefix.
        "servers": [{"url": "."}],
        "info": {"title": "Sightline", "version": "1", "description": _DESCRIPTION},
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": {
            **feed_paths(),
            **history_paths(),
            **rule_paths(),
            **webrtc_paths(),
            **image_paths(),
            **completion_paths(),
            **server_paths(),
        },
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {
                    **cookie,
                    "description": "Set by `/login`. ID differs by server; over HTTPS the name "
                    "starts with `__Host-` or, under a path prefix, `__Secure-`.",
                },
            },
        },
    }
