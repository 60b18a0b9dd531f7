import asyncio
import io
import os
import select
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engine.messages import pack, read, read_blocking, split

messages = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=4)


@given(messages, st.binary(max_size=64))
def test_a_packed_message_is_read_back(message: dict[str, object], payload: bytes) -> None:
    file = io.BytesIO(pack(message, payload) + pack({"next": 1}))

    assert read_blocking(file) == (message, payload)
    assert read_blocking(file) == ({"next": 1}, b"")


@given(st.lists(st.binary(max_size=9)))
def test_split_reverses_join(parts: list[bytes]) -> None:
    assert split(b"".join(parts), map(len, parts)) == parts


async def test_a_message_is_read_from_a_stream_byte_by_byte() -> None:
    reader = asyncio.StreamReader()
    reading = asyncio.create_task(read(reader))
    for byte in pack({"a": 1}, b"xyz"):
        reader.feed_data(bytes([byte]))
        await asyncio.sleep(0)

    assert await reading == ({"a": 1}, b"xyz")


@pytest.mark.parametrize("kept", [0, 3, 9, 14])
def test_a_file_that_ends_early_raises_eof_error(kept: int) -> None:
    with pytest.raises(EOFError):
        read_blocking(io.BytesIO(pack({"a": 1}, b"xyz")[:kept]))


def test_no_more_than_one_message_is_read_from_a_pipe() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as file, os.fdopen(writing, "wb", 0) as pipe:
        pipe.write(pack({"a": 1}, b"xyz") + pack({"b": 2}))
        assert read_blocking(file) == ({"a": 1}, b"xyz")
        assert select.select([file], [], [], 0)[0]
        assert read_blocking(file) == ({"b": 2}, b"")
        assert not select.select([file], [], [], 0)[0]


def test_messages_larger_than_a_pipe_are_read_whole() -> None:
    payload = bytes(range(256)) * 4000
    reading, writing = os.pipe()
    with (
        os.fdopen(reading, "rb", buffering=0) as file,
        os.fdopen(writing, "wb", buffering=0) as pipe,
        ThreadPoolExecutor(1) as thread,
    ):
        thread.submit(_write_all, pipe, pack({"a": 1}, payload) + pack({"b": 2}, payload))
        assert read_blocking(file) == ({"a": 1}, payload)
        assert read_blocking(file) == ({"b": 2}, payload)


def _write_all(pipe: BinaryIO, data: bytes) -> None:
    while data:
        data = data[pipe.write(data) :]
