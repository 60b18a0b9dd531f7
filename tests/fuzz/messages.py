"""Mutated data-channel messages."""

import json
import random
from typing import Any

from tests.fuzz.mutation import any_json, mutate_json, mutate_json_text

VALID_MESSAGES: tuple[dict[str, Any], ...] = (
    {"type": "ping", "id": 7},
    {"type": "configure", "interval_s": 1.5},
    {"type": "configure", "beam_width": 2, "overlay": "words", "explanations": "all"},
    {"type": "configure", "returned_video": "off"},
    {"type": "freeze", "seq": 0},
    {"type": "release"},
    {"type": "explain", "id": 1, "seq": 0, "method": "gradcam", "of": {"kind": "caption"}},
    {
        "type": "explain",
        "id": 2,
        "seq": 1,
        "method": "saliency",
        "of": {"kind": "word", "index": 1},
    },
    {"type": "check", "id": 3, "seq": 0, "method": "gradcam", "index": 0},
    {"type": "analyze", "id": 4, "seq": 0, "kind": "adversarial", "params": {}},
    {"type": "analyze", "id": 5, "seq": 0, "kind": "ace", "params": {}},
    {"type": "cancel", "id": 4},
)


def mutated_message(rng: random.Random) -> str | bytes:
    """Mutate a valid message; some are returned unchanged."""
    message = dict(rng.choice(VALID_MESSAGES))
    if "id" in message:
        message["id"] = rng.randrange(100)
    if "seq" in message:
        message["seq"] = rng.randrange(12)
    match rng.randrange(10):
        case 0:
            return json.dumps(message)
        case 1 | 2 | 3 | 4 | 5:
            for _ in range(rng.randint(1, 3)):
                message = mutate_json(message, rng)
            return _encodable(json.dumps(message))
        case 6:
            return _encodable(json.dumps(any_json(rng)))
        case 7:
            return rng.randbytes(rng.choice((0, 1, 20, 3000)))
        case 8:
            return json.dumps(message).encode(rng.choice(("utf-8", "utf-16", "utf-32")))
        case _:
            return _encodable(mutate_json_text(json.dumps(message), rng))


def _encodable(message: str) -> str:
    """Replace lone surrogates, which a data channel's strings cannot contain."""
    return message.encode(errors="replace").decode()
