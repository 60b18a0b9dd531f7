"""Messages on the data channel that are nearly right."""

import json
import random
from typing import Any

from tests.fuzz.mutation import any_json, spoil_json, spoil_json_text

_RIGHT: tuple[dict[str, Any], ...] = (
    {"type": "ping", "id": 7},
    {"type": "configure", "interval_s": 1.5},
    {"type": "configure", "beam_width": 2, "overlay": "gradcam", "explanations": "all"},
    {"type": "freeze", "seq": 0},
    {"type": "release"},
    {"type": "explain", "id": 1, "seq": 0, "method": "gradcam", "target": {"kind": "caption"}},
    {
        "type": "explain",
        "id": 2,
        "seq": 1,
        "method": "saliency",
        "target": {"kind": "word", "index": 1},
    },
    {"type": "check", "id": 3, "seq": 0, "method": "gradcam", "index": 0},
    {"type": "analyze", "id": 4, "seq": 0, "kind": "adversarial", "params": {}},
    {"type": "analyze", "id": 5, "seq": 0, "kind": "ace", "params": {}},
    {"type": "cancel", "id": 4},
)


def spoilt_message(rng: random.Random) -> str | bytes:
    """Spoil a message that the server knows; now and then send one as it should be."""
    right = dict(rng.choice(_RIGHT))
    if "id" in right:
        right["id"] = rng.randrange(100)
    if "seq" in right:
        right["seq"] = rng.randrange(12)
    match rng.randrange(10):
        case 0:
            return json.dumps(right)
        case 1 | 2 | 3 | 4 | 5:
            for _ in range(rng.randint(1, 3)):
                right = spoil_json(right, rng)
            return _text(json.dumps(right))
        case 6:
            return _text(json.dumps(any_json(rng)))
        case 7:
            return rng.randbytes(rng.choice((0, 1, 20, 3000)))
        case 8:
            return json.dumps(right).encode(rng.choice(("utf-8", "utf-16", "utf-32")))
        case _:
            return _text(spoil_json_text(json.dumps(right), rng))


def _text(message: str) -> str:
    """Leave out what no string of a data channel can carry: halves of surrogate pairs."""
    return message.encode(errors="replace").decode()
