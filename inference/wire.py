"""The messages between the engine and its process: JSON, then bytes, both behind their lengths.

The engine sends `follow` (captions), `explain`, `check` and `analyse` (jobs, by a number) and
`cancel`; the process answers `answers`, in turn, and `progress`, `explained`, `checked`, `analysed`
or `failed` of a job, whenever it comes to that.
"""

import asyncio
import itertools
import json
import struct
from collections.abc import Iterable
from typing import Any, BinaryIO

_LENGTHS = struct.Struct(">II")


def pack(message: dict[str, Any], payload: bytes = b"") -> bytes:
    """Write one message."""
    return head(message, len(payload)) + payload


def head(message: dict[str, Any], payload_bytes: int) -> bytes:
    """Write one message but for its payload, which is to follow."""
    text = json.dumps(message).encode()
    return _LENGTHS.pack(len(text), payload_bytes) + text


def parted(payload: bytes, sizes: Iterable[int]) -> list[bytes]:
    """Take apart what several things were joined to, given their sizes."""
    ends = itertools.accumulate(sizes, initial=0)
    return [payload[start:end] for start, end in itertools.pairwise(ends)]


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
