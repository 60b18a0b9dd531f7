"""What strangers can send to a caption server, and who is let in."""

import contextlib
import json
import stat
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.captioning import FrameRequest, StreamState
from inference.engine.messages import pack, unpack
from inference.pool import CaptionHandler, Refusal
from inference.pool.codec import (
    CONTENT_TYPE,
    MAX_REQUEST_BYTES,
    PATH,
    PROTOCOL,
    PROTOCOL_HEADER,
    CaptionRequest,
    caption_request,
    read_request,
)
from tests.inference.pool.conftest import serving
from tests.support.captions import ScriptedCaptions, confident_caption

IMAGE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
CAPTION = confident_caption("A dog runs", dog=0.9)
STATE = StreamState(
    CAPTION, (3, 1), np.ones(4, np.float16), np.zeros(4, np.float16), ScriptedCaptions.info.name
)
SECRET = "plugh-0123456789abc"
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


def message(**changes: Any) -> dict[str, Any]:
    request = caption_request(FrameRequest(IMAGE, STATE, max_wait_s=1.5), 3, 1.5)
    return {**request.model_dump(), **changes}


def handler(**options: Any) -> CaptionHandler:
    return CaptionHandler(ScriptedCaptions(CAPTION), **options)


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    refresh=st.booleans(),
    maps=st.booleans(),
    background=st.booleans(),
    with_state=st.booleans(),
    max_wait_s=st.none() | st.floats(0, 100),
    beam_width=st.none() | st.integers(1, 5),
)
def test_a_frame_request_is_read_back(
    shape: tuple[int, int],
    refresh: bool,
    maps: bool,
    background: bool,
    with_state: bool,
    max_wait_s: float | None,
    beam_width: int | None,
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    state = STATE if with_state else None
    sent = FrameRequest(image, state, refresh, maps, background, max_wait_s)

    body = pack(caption_request(sent, beam_width, max_wait_s).model_dump(), image.tobytes())
    request, (received,) = read_request(body)

    assert isinstance(request, CaptionRequest)
    frame = request.frame_request(received, STATE.captioner)
    np.testing.assert_array_equal(frame.image, image)
    assert request.beam_width == beam_width
    assert (frame.refresh, frame.maps, frame.background) == (refresh, maps, background)
    assert frame.max_wait_s == max_wait_s
    assert (frame.state is not None) == with_state
    if frame.state:
        assert (frame.state.caption, frame.state.tokens) == (STATE.caption, STATE.tokens)
        np.testing.assert_array_equal(frame.state.features, STATE.features)
        assert request.frame_request(received, "another captioner").state is None


@given(st.binary(max_size=200))
def test_bytes_that_are_no_request_are_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        handler().answer(body)
    assert refused.value.status == 400


@given(st.data())
def test_a_damaged_request_is_refused_or_read(data: st.DataObject) -> None:
    whole = bytearray(pack(message(), IMAGE.tobytes()))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    kept = data.draw(st.integers(0, len(whole)))

    with contextlib.suppress(Refusal):
        handler().answer(bytes(whole[:kept]))


@given(st.sampled_from(sorted(message())), JSON)
def test_a_request_with_any_other_value_is_refused_or_read(name: str, value: Any) -> None:
    with contextlib.suppress(Refusal):
        handler().answer(pack(message(**{name: value}), IMAGE.tobytes()))


@given(st.sampled_from(sorted(STATE.to_json())), JSON)
def test_a_state_with_any_other_value_is_refused_or_read(name: str, value: Any) -> None:
    state = {**STATE.to_json(), name: value}
    with contextlib.suppress(Refusal):
        handler().answer(pack(message(state=state), IMAGE.tobytes()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        struct.pack(">II", 2**32 - 1, 2**32 - 1) + b"{}",
        struct.pack(">II", 2, 0) + b"{}x",
        pack(message(), IMAGE.tobytes()[:-1]),
        pack(message(shapes=[[2**14, 2**14, 3]]), IMAGE.tobytes()),
        pack(message(shapes=[[4, 6, 3]] * 300), IMAGE.tobytes()),
        pack(message(shapes=[]), b""),
        pack(message(max_wait_s=-1), IMAGE.tobytes()),
        pack(message(more=1), IMAGE.tobytes()),
        pack(message(type="stop"), IMAGE.tobytes()),
        struct.pack(">II", 200_000, 0) + b"[" * 200_000,
    ],
)
def test_a_request_with_wrong_lengths_or_values_is_refused(body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        handler().answer(body)
    assert refused.value.status == 400
    assert "plugh" not in str(refused.value) and len(str(refused.value)) < 250


@asynccontextmanager
async def connected(socket: Path, **options: Any) -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client of a server with the scripted captions."""
    async with (
        serving(ScriptedCaptions(CAPTION), socket, **options),
        aiohttp.ClientSession(
            "http://localhost",
            connector=aiohttp.UnixConnector(str(socket)),
            headers={PROTOCOL_HEADER: str(PROTOCOL), "Content-Type": CONTENT_TYPE},
        ) as session,
    ):
        yield session


async def test_a_request_is_answered_over_http(socket: Path) -> None:
    body = pack(message(), IMAGE.tobytes())
    async with connected(socket, replica="one") as session:
        async with session.post(PATH, data=body) as response:
            answer, _ = unpack(await response.read())
        async with session.get(PATH) as response:
            state, _ = unpack(await response.read())

    assert (answer["type"], answer["caption"]["text"]) == ("caption", "A dog runs")
    assert answer["caption"]["timing_ms"]["replica"] == "one"
    assert answer["state"]["captioner"] == ScriptedCaptions.info.fingerprint
    assert (state["state"], state["accepts"], state["replica"]) == ("ready", True, "one")
    json.dumps(state)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer "}, 401),
        ({"Authorization": f"Bearer {SECRET}x"}, 401),
        ({"Authorization": f"Basic {SECRET}"}, 401),
        ({"Authorization": "Bearer \u00e4\u00f6"}, 401),
        ({"Authorization": f"bearer {SECRET}", PROTOCOL_HEADER: "0"}, 406),
        ({"Authorization": f"bearer {SECRET}"}, 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_only_clients_with_the_secret_and_the_protocol_are_admitted(
    socket: Path, method: str, headers: dict[str, str], status: int
) -> None:
    body = pack(message(), IMAGE.tobytes()) if method == "POST" else None
    async with (
        connected(socket, secret=SECRET) as session,
        session.request(method, PATH, data=body, headers=headers) as response,
    ):
        assert response.status == status
        assert SECRET.encode() not in await response.read()


async def test_a_request_that_is_too_large_is_refused_before_it_has_arrived(socket: Path) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(MAX_REQUEST_BYTES // 2**20 + 8):
            yield bytes(2**20)

    async with connected(socket) as session:
        with contextlib.suppress(aiohttp.ClientOSError):
            async with session.post(PATH, data=parts()) as response:
                assert response.status == 413
        async with session.get(PATH) as response:
            assert response.status == 200


def permissions(socket: Path) -> int | None:
    return stat.S_IMODE(socket.stat().st_mode) if socket.exists() else None


async def test_the_socket_is_the_users_alone(socket: Path) -> None:
    async with serving(ScriptedCaptions(CAPTION), socket):
        assert permissions(socket) == 0o600
    assert permissions(socket) is None


def test_the_fingerprint_differs_between_captioners() -> None:
    info = ScriptedCaptions.info
    others = [
        replace(info, captioner="blip"),
        replace(info, revision="1"),
        replace(info, encoder="x"),
    ]

    assert len({each.fingerprint for each in (info, *others)}) == 4
    assert replace(info, caption_s=3.0).fingerprint == info.fingerprint
