"""The data channel's messages, as `schema.json` describes them."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from inference.engine import EngineInfo, Explained
from inference.explanations import Check, Target
from inference.progress import estimate_left_s
from stream.captioning import MOST_PICTURES, CaptionEvent, caption_json
from stream.settings import StreamSettings

SCHEMA_PATH = Path(__file__).parent / "schema.json"


PROTOCOL = 1


BEAM_WIDTH = 3
"""Told while the captioner's own width is not known yet."""


class MessageError(ValueError):
    """A client's message that cannot be taken; says why, with the protocol's code."""

    def __init__(self, code: str, message: str, asked: int | None = None) -> None:
        """Refuse with one of the codes of `error`, under the id that the message has, if any."""
        super().__init__(message)
        self.code, self.asked = code, asked


def parse(text: str | bytes) -> dict[str, Any]:
    """Read a client's message.

    Raises:
        MessageError: If it is no JSON object, of no known type, or not as the schema says.
    """
    try:
        message = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as problem:
        raise MessageError("bad-json", f"a message is one JSON object: {problem}") from problem
    if not isinstance(message, dict):
        raise MessageError("bad-json", "a message is one JSON object")
    validators = _client_validators()
    kind = message.get("type")
    if not isinstance(kind, str) or kind not in validators:
        raise MessageError("unknown-type", f"a message's type is one of {', '.join(validators)}")
    if broken := next(validators[kind].iter_errors(message), None):
        where = broken.json_path.removeprefix("$").removeprefix(".") or kind
        # The instance may be large and is the client's own: it is not repeated.
        raise MessageError("bad-message", f"{where}: {_expected(broken)}", _id(message))
    return message


def limits(setting: str) -> list[float]:
    """The least and the most that a client may set, as the schema says."""
    rule = _schema()["$defs"][setting]
    return [rule["minimum"], rule["maximum"]]


def bounds(settings: StreamSettings) -> dict[str, Any]:
    """What a client may ask for, and how much of it."""
    return {
        "interval_s": limits("interval_s"),
        "beam_width": limits("beam_width"),
        "session_s": settings.session_s,
        "idle_s": settings.idle_s,
        "message_bytes": settings.message_bytes,
        "messages_per_s": settings.messages_per_s,
        "analyses": settings.analyses,
        "analysis_s": settings.analysis_s,
        "analysis_kept_s": settings.analysis_kept_s,
        "pictures": MOST_PICTURES,
    }


def hello(
    stream: str,
    info: EngineInfo | None,
    settings: dict[str, Any],
    most: dict[str, Any],
    captioner: dict[str, Any],
    watching: dict[str, Any] | None,
) -> dict[str, Any]:
    """The first message on a channel."""
    model = info and {
        "name": info.name,
        "encoder": info.encoder,
        "image_size": info.image_size,
        "vocabulary_size": info.vocabulary_size,
        "dev": info.figures,
        "licence": info.licence,
        "tags": info.tags,
        "hardened": info.hardened,
        "concepts": info.concepts,
        "methods": [method.to_json() for method in info.methods],
    }
    return {
        "type": "hello",
        "protocol": PROTOCOL,
        "stream": stream,
        "model": model,
        "settings": settings,
        "limits": most,
        "captioner": captioner,
        "watching": watching,
    }


def caption(event: CaptionEvent, *, maps: bool = True) -> dict[str, Any]:
    """A caption, aged as of now; with the maps that it has, unless they are not wanted."""
    said = event.caption.maps
    return {
        "type": "caption",
        **caption_json(event),
        "maps": said.to_json() if said and maps else None,
    }


def frozen(stream: str, seq: int) -> dict[str, Any]:
    """A caption's picture is kept, and where it is to be had."""
    return {"type": "frozen", "seq": seq, "picture": f"/streams/{stream}/pictures/{seq}"}


def progress(asked: int, done: float, elapsed_s: float) -> dict[str, Any]:
    """How much is done of what was asked for, and how long the rest will take at that rate."""
    return {
        "type": "progress",
        "id": asked,
        "done": done,
        "left_s": estimate_left_s(done, elapsed_s),
    }


def analysis_progress(asked: int, path: str, far: dict[str, Any]) -> dict[str, Any]:
    """How far an analysis is, and where that is told too, as `Analysis` says."""
    return {"type": "progress", "id": asked, **far, "analysis": path}


def result(asked: int, seq: int, path: str, analysis: dict[str, Any]) -> dict[str, Any]:
    """What an analysis found, and where its files are, as `Analysis` says."""
    return {
        "type": "result",
        "id": asked,
        "seq": seq,
        "kind": analysis["kind"],
        "analysis": path,
        "report": analysis["files"]["report.html"],
        "data": analysis["files"]["report.json"],
        "summary": analysis["summary"],
    }


def explanation(
    asked: int | None, seq: int, method: str, target: Target, explained: Explained
) -> dict[str, Any]:
    """A map that was asked for; one that comes by itself when `asked` is None."""
    return {
        "type": "explanation",
        "id": asked,
        "seq": seq,
        "method": method,
        "of": target.to_json(),
        "map": explained.map.to_json(),
        "took_ms": round(explained.took_ms, 1),
    }


def checked(asked: int, seq: int, method: str, index: int, check: Check) -> dict[str, Any]:
    """How a word's map stood the test."""
    return {
        "type": "checked",
        "id": asked,
        "seq": seq,
        "method": method,
        "index": index,
        **check.to_json(),
    }


def _id(message: dict[str, Any]) -> int | None:
    """The id of a message that may be wrong, if that at least is right."""
    asked, most = message.get("id"), _schema()["$defs"]["id"]["maximum"]
    return asked if type(asked) is int and 0 <= asked <= most else None


def _refuse_constant(name: str) -> None:
    """Python's parser takes NaN and the infinities, which JSON does not have (RFC 8259)."""
    raise ValueError(f"{name} is no JSON")


def _expected(problem: Any) -> str:
    rule, wanted = problem.validator, problem.validator_value
    if rule == "additionalProperties":
        return f"takes only {', '.join(problem.schema['properties'])}"
    if rule == "required":
        return f"needs {', '.join(wanted)}"
    return f"must meet {rule} {json.dumps(wanted)}"


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
