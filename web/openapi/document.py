"""What JSON bodies look like; those of captions are taken from the data channel's schema.

The whole document, assembled once.
"""

import json
from functools import cache
from typing import Any

from stream.captioned_stream import SignalState
from stream.data_channel import SCHEMA_PATH
from web.openapi.captions import feed_paths, history_paths
from web.openapi.operation import NAME_PATTERN, Json, ref
from web.openapi.server import server_paths, webrtc_paths

_TIME = {"type": "number", "description": "Seconds since the Unix epoch."}
_COUNT = {"type": "integer", "minimum": 0}
_PROBABILITY = {"type": "number", "minimum": 0, "maximum": 1}
_NAME = {"type": "string", "pattern": NAME_PATTERN}
_TEXT = {"type": "string"}
_ID = {
    "type": "integer",
    "description": "When it began, in microseconds since the Unix epoch, made unique.",
}

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


def schemas() -> dict[str, Json]:
    """Return all schemas of the document, by name."""
    messages = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))["$defs"]
    shared = {name: messages[name] for name in ("probability", "count", "milliseconds")}
    tag = {"text": _TEXT, "prob": ref("probability")}
    return {
        **shared,
        **{name: _moved(messages[name]) for name in ("kind", "left_s", "summary", "analysis")},
        "Error": _object({"error": _object({"code": _TEXT, "message": _TEXT})}),
        "Signal": _object(
            {
                "state": {"enum": [state.value for state in SignalState]},
                "since": _TIME,
                "message": {**_TEXT, "description": "Why, for people."},
            }
        ),
        "Caption": _caption(messages["caption"]),
        "Feed": _object(
            {
                "name": _NAME,
                "title": _TEXT,
                "kind": {"enum": ["feed", "session"]},
                "signal": ref("Signal"),
                "interval_s": {"type": "number"},
                "explanations": {"enum": ["all", "gradcam", "none"]},
                "viewers": _COUNT,
                "caption": {"oneOf": [{"type": "null"}, ref("Caption")]},
                "history": {"type": "boolean", "description": "Whether captions are kept."},
                "links": _object(
                    dict.fromkeys(("events", "captions", "subtitles", "whep", "picture"), _TEXT)
                ),
            }
        ),
        "Span": _object(
            {
                "id": _ID,
                "feed": _NAME,
                "from": _TIME,
                "to": _TIME,
                "captions": _COUNT,
                "text": _TEXT,
                "said": {**_TEXT, "description": "The text in a line that owns up to a doubt."},
                "confidence": _PROBABILITY,
                "fallback": {"enum": [None, "shorter", "tags"]},
                "guess": _TEXT,
                "tags": {"type": "array", "items": _object(tag)},
            },
            "From when to when a feed said the same.",
        ),
        "Found": _object(
            {
                "spans": {"type": "array", "items": ref("Span")},
                "before": {
                    "oneOf": [{"type": "null"}, _ID],
                    "description": "Ask again with this for what is older; null at the end.",
                },
            }
        ),
        "Timeline": _timeline(),
        "Role": {"enum": ["admin", "viewer", None]},
        "Session": _object({"sdp": _TEXT, "type": {"const": "answer"}, "stream": _TEXT}),
    }


def _timeline() -> Json:
    word = _object({"text": _TEXT, "spans": _COUNT})
    bucket = {
        "from": _TIME,
        "to": _TIME,
        "spans": _COUNT,
        "captions": _COUNT,
        "words": {
            "type": "array",
            "items": word,
            "description": "Said most, counted in 200 spans at most.",
        },
    }
    return _object(
        {
            "from": _TIME,
            "to": _TIME,
            "feeds": {"type": "array", "items": _NAME, "description": "All that are in it."},
            "buckets": {"type": "array", "items": _object(bucket)},
        }
    )


def _caption(message: Json) -> Json:
    """Take what a caption is on the data channel, but for maps; and add what doors add."""
    kept = {
        name: _moved(rule)
        for name, rule in message["properties"].items()
        if name not in ("type", "maps")
    }
    said = {**_TEXT, "description": "The text in a line that owns up to a doubt."}
    return _object({"feed": _NAME, "said": said, **kept})


def _object(properties: Json, description: str = "") -> Json:
    """An object that has exactly these properties."""
    rule: Json = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return {"description": description, **rule} if description else rule


def _moved(rule: Any) -> Any:
    """Have references of the data channel's schema point into this document."""
    if isinstance(rule, dict):
        return {
            key: value.replace("#/$defs/", "#/components/schemas/")
            if key == "$ref"
            else _moved(value)
            for key, value in rule.items()
        }
    return [_moved(each) for each in rule] if isinstance(rule, list) else rule


@cache
def document() -> Json:
    """Return the document; not to be changed."""
    cookie = {"type": "apiKey", "in": "cookie", "name": "sightline"}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sightline", "version": "1", "description": _ABOUT},
        "tags": [{"name": name, "description": about} for name, about in _TAGS.items()],
        "paths": {**feed_paths(), **history_paths(), **webrtc_paths(), **server_paths()},
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "cookie": {**cookie, "description": "Set by `/login`; `__Host-` with https."},
            },
        },
    }
