"""The wire format of messages to and from captioners: JSON and a payload of bytes, with lengths."""

import itertools
import json
import struct
from collections.abc import Iterable
from typing import Any, BinaryIO, Protocol

Message = tuple[dict[str, Any], bytes]
"""The JSON values of a message and its payload."""

_LENGTHS = struct.Struct(">II")


class MessageError(ValueError):
    """Bytes are no message, or one that is larger than allowed."""


class Reader(Protocol):
    """A stream that bytes are read from, such as `asyncio.StreamReader`, or aiohttp's."""

    async def readexactly(self, size: int, /) -> bytes:
        """Read so many bytes; raises `asyncio.IncompleteReadError` at the end."""


def pack(message: dict[str, Any], payload: bytes = b"") -> bytes:
    """Serialise a message."""
    return pack_head(message, len(payload)) + payload


def pack_head(message: dict[str, Any], payload_bytes: int) -> bytes:
    """Serialise a message without its payload, which has to follow.

    Raises:
        ValueError: If it contains a number that is not finite, which is no JSON.
    """
    text = json.dumps(message, allow_nan=False).encode()
    return _LENGTHS.pack(len(text), payload_bytes) + text


def split(payload: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Split a payload into parts of the given sizes."""
    ends = itertools.accumulate(sizes, initial=0)
    return [payload[start:end] for start, end in itertools.pairwise(ends)]


async def read(reader: Reader, max_bytes: int | None = None) -> Message:
    """Read a message.

    Args:
        reader: Where it comes from.
        max_bytes: Of the whole message; unlimited if None, for a peer that is trusted.

    Raises:
        asyncio.IncompleteReadError: At the end of the stream.
        MessageError: If it is larger, or not JSON.
    """
    text, payload = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
    if max_bytes is not None and _LENGTHS.size + text + payload > max_bytes:
        raise MessageError(f"a message is larger than {max_bytes} bytes")
    return _parse(await reader.readexactly(text)), await reader.readexactly(payload)


def unpack(data: bytes) -> Message:
    """Read a message that is given as a whole.

    Raises:
        MessageError: If it is not exactly one message.
    """
    if len(data) < _LENGTHS.size:
        raise MessageError("the message has no lengths")
    text, payload = _LENGTHS.unpack_from(data)
    start = _LENGTHS.size + text
    if start + payload != len(data):
        raise MessageError("the lengths of the message are not those of its parts")
    return _parse(data[_LENGTHS.size : start]), data[start:]


def read_blocking(file: BinaryIO) -> Message:
    """Read a message from a file, and not a byte more.

    So `select` on an unbuffered file shows whether another message has begun to arrive.

    Raises:
        EOFError: At the end of the file.
    """
    text, payload = _LENGTHS.unpack(_read_exactly(file, _LENGTHS.size))
    return _parse(_read_exactly(file, text)), _read_exactly(file, payload)


def _parse(text: bytes) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        raise MessageError("the message is not JSON") from None
    if not isinstance(values, dict):
        raise MessageError("the message is not a JSON object")
    return values


def _read_exactly(file: BinaryIO, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = file.read(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
