import asyncio
import io
import os
import select
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.engine.connection import pack, parted, read, read_blocking

messages = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=9), max_size=4)


@given(messages, st.binary(max_size=64))
def test_what_is_packed_is_read_back(message: dict[str, object], payload: bytes) -> None:
    file = io.BytesIO(pack(message, payload) + pack({"next": 1}))

    assert read_blocking(file) == (message, payload)
    assert read_blocking(file) == ({"next": 1}, b"")


@given(st.lists(st.binary(max_size=9)))
def test_what_was_joined_is_taken_apart(parts: list[bytes]) -> None:
    assert parted(b"".join(parts), map(len, parts)) == parts


async def test_a_stream_gives_whole_messages_however_they_arrive() -> None:
    reader = asyncio.StreamReader()
    reading = asyncio.create_task(read(reader))
    for byte in pack({"a": 1}, b"xyz"):
        reader.feed_data(bytes([byte]))
        await asyncio.sleep(0)

    assert await reading == ({"a": 1}, b"xyz")


@pytest.mark.parametrize("kept", [0, 3, 9, 14])
def test_a_file_that_ends_early_says_so(kept: int) -> None:
    with pytest.raises(EOFError):
        read_blocking(io.BytesIO(pack({"a": 1}, b"xyz")[:kept]))


def test_of_a_pipe_no_more_is_read_than_one_message() -> None:
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
