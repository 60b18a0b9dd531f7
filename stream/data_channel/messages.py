"""Messages of the data channel, as described by `schema.json`: validation and construction."""

import json
from functools import cache
from pathlib import Path
from typing import Any, cast

from jsonschema import Draft202012Validator, ValidationError

from inference.engine import EngineInfo, ExplanationResult
from inference.explanations import Check, Target
from inference.progress import Progress
from stream.captioning import MAX_RECENT_FRAMES, CaptionEvent, caption_json
from stream.data_channel.model_json import model_json
from stream.settings import StreamSettings

SCHEMA_PATH = Path(__file__).parent / "schema.json"

PROTOCOL = 1

DEFAULT_BEAM_WIDTH = 3
"""Beam width to report before the captioner has been loaded."""


class MessageError(ValueError):
    """A client's message that is not valid; the message says why."""

    def __init__(self, code: str, message: str, request_id: int | None = None) -> None:
        """Fail with one of the codes of `error`, and the message's id if it has a valid one."""
        super().__init__(message)
        self.code, self.request_id = code, request_id


def parse(text: str | bytes) -> dict[str, Any]:
    """Parse and validate a client's message.

    Raises:
        MessageError: If it is not a JSON object, has an unknown type, or does not match the schema.
    """
    try:
        message = json.loads(text, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:
        raise MessageError("bad-json", f"a message must be one JSON object: {error}") from error
    if not isinstance(message, dict):
        raise MessageError("bad-json", "a message must be one JSON object")
    validators = _client_validators()
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in validators:
        raise MessageError("unknown-type", f"type: must be one of {', '.join(validators)}")
    if violation := next(validators[kind].iter_errors(message), None):
        where = violation.json_path.removeprefix("$").removeprefix(".") or kind
        # The invalid value is not repeated: it may be large, and the client has it.
        raise MessageError("bad-message", f"{where}: {_describe(violation)}", _id_of(message))
    return message


def setting_range(setting: str) -> list[float]:
    """Return the minimum and maximum of a setting that a client may change."""
    rule = _schema()["$defs"][setting]
    return [rule["minimum"], rule["maximum"]]


def limits(settings: StreamSettings) -> dict[str, Any]:
    """Return `limits` of `hello`."""
    return {
        "interval_s": setting_range("interval_s"),
        "beam_width": setting_range("beam_width"),
        "session_s": settings.session_s,
        "idle_s": settings.idle_s,
        "message_bytes": settings.message_bytes,
        "messages_per_s": settings.messages_per_s,
        "analyses": settings.analyses,
        "analysis_s": settings.analysis_s,
        "analysis_kept_s": settings.analysis_kept_s,
        "pictures": MAX_RECENT_FRAMES,
    }


def hello(
    stream: str,
    info: EngineInfo | None,
    settings: dict[str, Any],
    limits: dict[str, Any],
    captioner: dict[str, Any],
    watching: dict[str, Any] | None,
) -> dict[str, Any]:
    """Return a `hello`, the first message on a channel."""
    return {
        "type": "hello",
        "protocol": PROTOCOL,
        "stream": stream,
        "model": info and model_json(info),
        "settings": settings,
        "limits": limits,
        "captioner": captioner,
        "watching": watching,
    }


def caption(event: CaptionEvent, *, maps: bool = True) -> dict[str, Any]:
    """Return a `caption`, aged as of now, with its maps unless they are turned off."""
    caption_maps = event.caption.maps
    return {
        "type": "caption",
        **caption_json(event),
        "maps": caption_maps.to_json() if caption_maps and maps else None,
    }


def text_area(top: float) -> dict[str, Any]:
    """Return a `text_area`, with the top of the text as a fraction of the frame's height."""
    return {"type": "text_area", "top": round(top, 4)}


def frozen(stream: str, seq: int) -> dict[str, Any]:
    """Return a `frozen`, with the path of the frame's JPEG."""
    return {"type": "frozen", "seq": seq, "picture": f"/streams/{stream}/pictures/{seq}"}


def progress(request_id: int, progress: Progress, left_s: float | None) -> dict[str, Any]:
    """Return the `progress` of an explanation or a check, with the estimated time left."""
    return {
        "type": "progress",
        "id": request_id,
        **progress.to_json(),
        "left_s": left_s,
    }


def analysis_progress(request_id: int, path: str, progress: dict[str, Any]) -> dict[str, Any]:
    """Return the `progress` of an analysis, as in `Analysis.progress_json`, and its path."""
    return {"type": "progress", "id": request_id, **progress, "analysis": path}


def result(request_id: int, seq: int, path: str, analysis: dict[str, Any]) -> dict[str, Any]:
    """Return the `result` of an analysis, as in `Analysis.to_json`, with the paths of its files."""
    return {
        "type": "result",
        "id": request_id,
        "seq": seq,
        "kind": analysis["kind"],
        "analysis": path,
        "report": analysis["files"]["report.html"],
        "data": analysis["files"]["report.json"],
        "summary": analysis["summary"],
    }


def explanation(
    request_id: int | None, seq: int, method: str, target: Target, result: ExplanationResult
) -> dict[str, Any]:
    """Return an `explanation`; one without a request has no request id."""
    return {
        "type": "explanation",
        "id": request_id,
        "seq": seq,
        "method": method,
        "of": target.to_json(),
        "map": result.map.to_json(),
        "took_ms": round(result.took_ms, 1),
    }


def checked(request_id: int, seq: int, method: str, index: int, check: Check) -> dict[str, Any]:
    """Return a `checked`, the result of checking a word's map."""
    return {
        "type": "checked",
        "id": request_id,
        "seq": seq,
        "method": method,
        "index": index,
        **check.to_json(),
    }


def _id_of(message: dict[str, Any]) -> int | None:
    """Return the id of an invalid message, if at least its id is valid."""
    request_id, maximum = message.get("id"), _schema()["$defs"]["id"]["maximum"]
    return request_id if type(request_id) is int and 0 <= request_id <= maximum else None


def _reject_constant(name: str) -> None:
    """Reject NaN and infinities, which Python's parser accepts and JSON lacks (RFC 8259)."""
    raise ValueError(f"{name} is not valid JSON")


def _describe(violation: ValidationError) -> str:
    rule, value = violation.validator, cast("Any", violation.validator_value)
    match rule:
        case "additionalProperties":
            allowed = cast("dict[str, Any]", violation.schema)["properties"]
            return f"allows only {', '.join(allowed)}"
        case "required":
            return f"requires {', '.join(value)}"
        case "enum":
            return f"must be one of {', '.join(map(str, value))}"
        case "type":
            return f"must be of type {value}"
        case "minimum":
            return f"must be at least {value}"
        case "maximum":
            return f"must be at most {value}"
        case "maxLength":
            return f"must have at most {value} characters"
    return f"must match {rule} {json.dumps(value)}"


@cache
def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    return schema


@cache
def _client_validators() -> dict[str, Draft202012Validator]:
    schema = _schema()
    names = [entry["$ref"].rpartition("/")[2] for entry in schema["$defs"]["client"]["oneOf"]]
    return {
        name: Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": schema["$defs"]})
        for name in names
    }
