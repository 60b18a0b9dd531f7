"""The messages between the engine and its process: JSON, then bytes, both behind their lengths.

The engine sends `follow` (captions), `explain` and `check` (jobs, by a number) and `cancel`; the
process answers `answers`, in turn, and `progress`, `explained`, `checked` or `failed` of a job,
whenever it comes to that.
"""

import asyncio
import json
import struct
from typing import Any, BinaryIO

_LENGTHS = struct.Struct(">II")


def pack(message: dict[str, Any], payload: bytes = b"") -> bytes:
    """Write one message."""
    text = json.dumps(message).encode()
    return _LENGTHS.pack(len(text), len(payload)) + text + payload


async def read(reader: asyncio.StreamReader) -> tuple[dict[str, Any], bytes]:
    """Read one message.

    Raises:
        asyncio.IncompleteReadError: At the end of the stream.
    """
    text, payload = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
    return json.loads(await reader.readexactly(text)), await reader.readexactly(payload)


def read_blocking(file: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Read one message.

    No byte more than the message is asked of the file: of one that is not buffered, `select` tells
    whether another message has begun to come.

    Raises:
        EOFError: At the end of the file.
    """
    text, payload = _LENGTHS.unpack(_exactly(file, _LENGTHS.size))
    return json.loads(_exactly(file, text)), _exactly(file, payload)


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = file.read(size - len(data))
        if not part:
            raise EOFError
        data += part
    return bytes(data)
