"""Mutations of well-formed input: small ones, so that it gets far before it is refused."""

import json
import math
import random
import string
from collections.abc import Callable
from typing import Any

STRANGE_NUMBERS = (
    *(0, 1, -1, 2, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32, 2**53, 2**63, 2**64, 10**40),
    *(0.5, -0.0, 1e308, 1e-308, math.inf, -math.inf, math.nan),
)
STRANGE_TEXTS = (
    *("", " ", "\0", "\n", "\r\n", "\r\n\r\n", "\t", "%s%n", "%00", "..", "../../etc/passwd"),
    *("'", '"', "<script>", "{}", "[]", "null", "true", "-", "+", ":", ";", "=", "/", "//"),
    *(
        "A" * 300,
        "A" * 5000,
        "9" * 400,
        "é",
        "😀",
        "\u202e",
        "\ufeff",
        "\ud800",
        "١٢٣",
        "\uff11\uff12",
    ),
    *("0x10", "1e9", "NaN", "-1", "00", "127.0.0.1", "::1", "::", "example.invalid", "a.local"),
)


def mutate_text(text: str, rng: random.Random) -> str:
    """Change, add, drop or repeat a few characters."""
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(0, len(text))
        until = min(len(text), place + rng.choice((1, 1, 1, 4, 20)))
        middle = rng.choice(
            (
                "",
                rng.choice(string.printable),
                rng.choice(STRANGE_TEXTS),
                text[place:until] * rng.randint(2, 5),
                chr(rng.randrange(0x110000)),
            )
        )
        text = text[:place] + middle + text[until:]
    return text


def mutate_token(token: str, rng: random.Random) -> str:
    """Replace a token by a strange one or a similar one."""
    if token.lstrip("-").isdigit() and rng.random() < 0.6:
        return str(rng.choice((*STRANGE_NUMBERS, int(token[:300]) + rng.choice((-1, 1)))))
    return rng.choice((rng.choice(STRANGE_TEXTS), mutate_text(token, rng), token * 2))


def mutate_json(value: Any, rng: random.Random) -> Any:
    """Return a JSON value with one part changed, added or removed."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        changed = dict(value)
        match rng.randrange(5):
            case 0:
                del changed[key]
            case 1:
                changed[rng.choice(STRANGE_TEXTS)] = any_json(rng)
            case 2:
                changed[mutate_text(key, rng)] = changed.pop(key)
            case _:
                changed[key] = mutate_json(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.85:
        place = rng.randrange(len(value))
        return [*value[:place], mutate_json(value[place], rng), *value[place + rng.randint(0, 1) :]]
    if isinstance(value, str) and rng.random() < 0.5:
        return mutate_text(value, rng)
    return any_json(rng)


def any_json(rng: random.Random, depth: int = 0) -> Any:
    """Generate a JSON value; all types are about equally frequent."""
    nested: Callable[[], Any] = lambda: any_json(rng, depth + 1)  # noqa: E731
    match rng.randrange(8 if depth < 4 else 6):
        case 0:
            return None
        case 1:
            return rng.choice((True, False))
        case 2 | 3:
            return rng.choice(STRANGE_NUMBERS)
        case 4 | 5:
            return rng.choice(STRANGE_TEXTS)
        case 6:
            return [nested() for _ in range(rng.randint(0, 4))]
        case _:
            return {rng.choice(STRANGE_TEXTS): nested() for _ in range(rng.randint(0, 4))}


def mutate_json_text(text: str, rng: random.Random) -> str:
    """Mutate the grammar, the depth or the length of JSON text."""
    match rng.randrange(6):
        case 0:
            return text[: rng.randint(0, len(text))]
        case 1:
            depth = rng.choice((10, 1000, 25_000))
            return rng.choice(("[", '{"a":', '{"type":[')) * depth
        case 2:
            return text.replace(":", ": " * rng.choice((2, 500)), 1)
        case 3:
            return json.dumps({"type": "ping", "id": 1, "x": "y" * rng.choice((4000, 70_000))})
        case _:
            return mutate_text(text, rng)
