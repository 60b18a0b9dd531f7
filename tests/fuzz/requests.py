"""Mutated HTTP requests, as bytes."""

import base64
import gzip
import io
import json
import random
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from tests.fuzz.mutation import STRANGE_TEXTS, mutate_json, mutate_json_text, mutate_text
from tests.fuzz.sdps import mutated_sdp
from tests.support.heic import write_heic

_METHODS = ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "GE T")
_HEADERS = (
    *("Origin", "Cookie", "Authorization", "Content-Type", "Content-Encoding", "If-Match"),
    *("Accept", "Accept-Encoding", "Range", "Last-Event-ID", "X-Forwarded-For", "Referer"),
    *("Expect", "Upgrade", "Connection", "Transfer-Encoding", "Content-Length", "If-None-Match"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "Forwarded", "X-Request-ID"),
    *("Sec-Fetch-Site", "Sec-Fetch-Mode", "Access-Control-Request-Method", "If-Modified-Since"),
    *("If-Range", "Host"),
)
_ORIGINS = (
    *("http://127.0.0.1", "http://localhost", "http://[", "http://[::1", "http://[v1.x]", "//"),
    *("http://h:99999", "http://h:-1", "http://h:x", "http://a:1:2", "http://\u2100.com", "://"),
    *("http://a\uff0fb", "http://user@127.0.0.1", "https://\xe9.example", "HTTP://LOCALHOST"),
)
"""Values of Origin and Referer; without their scheme, of Host and X-Forwarded-Host."""
_VALUES = (
    *(
        "null",
        "http://example.invalid",
        "Bearer x",
        "Basic eA==",
        "sightline=x",
        "application/json",
    ),
    *("application/sdp", "application/trickle-ice-sdpfrag", "gzip", "chunked", "identity", "0"),
    *(
        "100-continue",
        "websocket",
        "close",
        "keep-alive",
        "bytes=0-",
        "bytes=5-1",
        "*",
        "text/html",
    ),
    *("https", "same-origin", "cross-site", "no-cors", "/captions", "/../x", "//evil", "POST"),
    *(
        "bytes=0-0,5-6",
        "bytes=-",
        "bytes=-0",
        f"bytes={'9' * 30}-",
        'sightline="\\777"',
        "=;=",
        "W/",
    ),
    *("Fri, 31 Dec 9999 23:59:59 -2359", "Thu, 01 Jan 1970 00:00:00 +9999", "::1%eth0, [::1]:x"),
)
_NAMES = (
    *("hall", "nobody", "a" * 40, "A", "..", "%2e%2e", "%00", "", "-", "é", "hall/../hall"),
    *("%ff", "%ed%a0%80", "%zz", "%", "%2f", "%5c", "[", "|", "%D9%A3", "9" * 16),
)
_MAX_BODY_BYTES = 100_000
_UPLOAD_BYTES = (200_000, 2_000_000)
_BOMB_BYTES = 8_000_000
_CODINGS = (
    *("deflate", "gzip", "br", "zstd", "identity", "compress", "x-unknown", "GZIP", ""),
    *("gzip, deflate", "gzip, gzip", "é"),
)
_IMAGE_URLS = (
    *("data:image/png;base64,", "data:image/png;base64,", "data:;base64,", "data:,"),
    *("http://127.0.0.1:1/", "https://example.invalid/", "file:///", "data:image/png;base64"),
)
_CHAT_PARAMETERS: dict[str, tuple[Any, ...]] = {
    "logprobs": (True, False),
    "top_logprobs": (0, 2, 20, 21),
    "stream": (True, False, None),
    "stream_options": ({"include_usage": True}, {}, None),
    "max_tokens": (1, 2, 0, 10**20),
    "max_completion_tokens": (1, 5, -1),
    "stop": ("o", ["A", " "], [], ""),
    "n": (1, 2, None),
    "temperature": (0, 0.5, 2, 1e9),
    "response_format": ({"type": "text"}, {"type": "json_object"}, {}),
    "tools": ([], [{}]),
    "logit_bias": ({}, {"5": 100}),
}
_CHUNK_SIZES = ("0", "-1", "g", "", "ffffffff", "ffffffffffffffffff", "+5", "0x5")


def mutated_request(rng: random.Random, routes: list[tuple[str, str]], offers: list[str]) -> bytes:
    """Generate a mutated request for one of the server's routes.

    Args:
        rng: Source of randomness.
        routes: Methods and paths; the parameters of a path are in braces.
        offers: Valid SDP offers.
    """
    method, path = rng.choice(routes)
    if rng.random() < 0.15:
        method = rng.choice(_METHODS)
    target = _target(path, rng)
    body = _body(path, rng, offers) if method not in ("GET", "HEAD") or rng.random() < 0.1 else b""
    host = "127.0.0.1" if rng.random() < 0.95 else rng.choice((*STRANGE_TEXTS, _host(rng)))
    headers = [("Host", host)]
    if body or method not in ("GET", "HEAD"):
        body, transfer_headers = _transfer(body, rng)
        headers.extend(transfer_headers)
        headers.append(("Content-Type", _content_type(path, rng)))
    if rng.random() < 0.03:
        headers.extend(_many_headers(rng))
    for _ in range(rng.choice((0, 0, 1, 1, 2, 50))):
        headers.append(_header(rng))
    version = "HTTP/1.1" if rng.random() < 0.97 else rng.choice(("HTTP/1.0", "HTTP/9", "", "X"))
    head = [f"{method} {target} {version}", *(f"{name}: {value}" for name, value in headers)]
    text = "\r\n".join([*head, "", ""])
    if rng.random() < 0.05:
        text = mutate_text(text, rng)
    return text.encode(errors="surrogatepass") + body


def _header(rng: random.Random) -> tuple[str, str]:
    name = rng.choice(_HEADERS)
    if rng.random() < 0.5:
        if name in ("Origin", "Referer"):
            return name, rng.choice(_ORIGINS)
        if name in ("Host", "X-Forwarded-Host"):
            return name, _host(rng)
    return name, rng.choice((rng.choice(_VALUES), rng.choice(STRANGE_TEXTS)))


def _host(rng: random.Random) -> str:
    return rng.choice(_ORIGINS).rpartition("//")[2]


def _target(path: str, rng: random.Random) -> str:
    if path == "/static":
        path += "/{file}"
    while "{" in path:
        before, _, rest = path.partition("{")
        after = rest.partition("}")[2]
        name = rng.choice((rng.choice(_NAMES), _quoted(rng.choice(STRANGE_TEXTS)), "0"))
        path = f"{before}{name}{after}"
    if rng.random() < 0.1:
        path = mutate_text(path, rng).replace(" ", "%20")
    if rng.random() < 0.4:
        keys = ("q", "feed", "from", "to", "limit", "before", "buckets", "format", "since", "next")
        parameters = (
            f"{rng.choice(keys)}={_quoted(rng.choice((*STRANGE_TEXTS, 'dog', 'vtt', '5')))}"
            for _ in range(rng.randint(1, 5))
        )
        path += "?" + "&".join(parameters)
    return path


def _content_type(path: str, rng: random.Random) -> str:
    if rng.random() < 0.1:
        return rng.choice((*_VALUES, *STRANGE_TEXTS))
    return "application/sdp" if path.startswith(("/whip", "/whep")) else "application/json"


def _body(path: str, rng: random.Random, offers: list[str]) -> bytes:
    if rng.random() < 0.05:
        return rng.randbytes(rng.choice((0, 1, 1000, _MAX_BODY_BYTES)))
    if path.startswith(("/whip", "/whep")):
        return mutated_sdp(rng, offers).encode(errors="surrogatepass")
    body: dict[str, Any]
    if path == "/login":
        body = {"token": "x"}
    elif path.startswith("/v1/"):
        body = _chat(rng)
    else:
        body = {"sdp": mutated_sdp(rng, offers), "type": "offer", "source": "peer"}
        body["source"] = rng.choice(("peer", "peer", "demo", "feed", "x"))
        if rng.random() < 0.2:
            body[rng.choice(("feed", "publish"))] = rng.choice(_NAMES)
    value = body if rng.random() < 0.7 else mutate_json(body, rng)
    text = json.dumps(value)
    if rng.random() < 0.1:
        text = mutate_json_text(text, rng)
    return text.encode(errors="surrogatepass")[:_MAX_BODY_BYTES]


def _chat(rng: random.Random) -> dict[str, Any]:
    """Generate the body of a chat completion, often valid, with a few parameters."""
    image = bytearray(rng.choice(_images()))
    if rng.random() < 0.4:
        for _ in range(rng.choice((1, 5, 50))):
            image[rng.randrange(len(image))] = rng.randrange(256)
        del image[rng.choice((len(image), rng.randrange(len(image) + 1))) :]
    text = {"type": "text", "text": rng.choice(STRANGE_TEXTS)}
    parts = [
        rng.choice(
            (text, {"type": "image_url", "image_url": {"url": _image_url(bytes(image), rng)}})
        )
        for _ in range(rng.choice((1, 1, 1, 2, 3)))
    ]
    messages: list[dict[str, Any]] = [{"role": "user", "content": parts}]
    if rng.random() < 0.3:
        role = rng.choice(("system", "developer", "assistant", "tool", "user", "x"))
        messages.insert(
            rng.randint(0, 1), {"role": role, "content": rng.choice(("", None, [text]))}
        )
    chosen = rng.sample(sorted(_CHAT_PARAMETERS), rng.choice((0, 0, 1, 3, 8)))
    parameters = {name: rng.choice(_CHAT_PARAMETERS[name]) for name in chosen}
    return {
        "model": rng.choice(("sightline", "sightline", "x")),
        "messages": messages,
        **parameters,
    }


def _image_url(image: bytes, rng: random.Random) -> str:
    encoded = base64.b64encode(image).decode()
    if rng.random() < 0.1:
        encoded = mutate_text(encoded, rng)
    return rng.choice(_IMAGE_URLS) + encoded


@cache
def _images() -> tuple[bytes, ...]:
    """Return a small image in each of several formats."""
    pixels = np.random.default_rng(1).integers(0, 256, (30, 40, 3), np.uint8)
    files = [write_heic(pixels)]
    for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, kind)
        files.append(file.getvalue())
    return tuple(files)


def _transfer(body: bytes, rng: random.Random) -> tuple[bytes, list[tuple[str, str]]]:
    """Encode and frame a body, rightly or wrongly; return it and the headers that describe it."""
    headers = []
    if rng.random() < 0.05:
        # An upload that the server should reject before it has arrived.
        body = bytes(rng.choice(_UPLOAD_BYTES))
    if rng.random() < 0.1:
        headers.append(("Content-Encoding", rng.choice(_CODINGS)))
        compress = rng.choice((zlib.compress, _gzip))
        body = rng.choice((body, compress(body), _bomb(compress)))
    if rng.random() < 0.03:
        headers.append(("Expect", "100-continue"))
    if rng.random() < 0.1:
        headers.append(("Transfer-Encoding", rng.choice(("chunked", "chunked", "gzip, chunked"))))
        if rng.random() < 0.2:
            headers.append(("Content-Length", str(len(body))))
        return _chunked(body, rng), headers
    length = len(body)
    if rng.random() < 0.08:
        length = rng.choice((0, 5, max(0, length - 1), length + 1, 10**6, 10**12, 10**20, -1))
    headers.append(("Content-Length", str(length)))
    return body, headers


def _chunked(body: bytes, rng: random.Random) -> bytes:
    """Frame a body in chunks (RFC 9112, section 7.1), a few of them malformed."""
    chunks, place = [], 0
    while place < len(body):
        data = body[place : place + rng.choice((1, 100, 10_000, 100_000))]
        place += len(data)
        size = f"{len(data):x}" if rng.random() < 0.98 else rng.choice(_CHUNK_SIZES)
        extension = rng.choice(("", "", "", ";a=b", f';a="{"x" * 5000}"'))
        chunks.append(f"{size}{extension}\r\n".encode() + data + b"\r\n")
    end = rng.choice((b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n", b"0\r\n", b""))
    return b"".join(chunks) + end


def _gzip(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


@cache
def _bomb(compress: Callable[[bytes], bytes]) -> bytes:
    """Return a body that expands to a thousand times its size."""
    return compress(bytes(_BOMB_BYTES))


def _many_headers(rng: random.Random) -> list[tuple[str, str]]:
    count, length = rng.choice(((127, 10), (129, 10), (2000, 10), (100, 8000), (1, 9000)))
    return [(f"X-{number}", "x" * length) for number in range(count)]


def _quoted(text: str) -> str:
    return quote(text, errors="replace")
