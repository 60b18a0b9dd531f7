"""The channel between the front and a media process."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from stream.captioning import FrameNotFound
from stream.media.channel import NOTHING, Answer, Channel, ChannelClosed, pickled, unpickled
from stream.quota import QuotaExceeded, ShareExceeded
from stream.webrtc import OfferError

_FAILURES: dict[str, Exception] = {
    "frame": FrameNotFound("the frame is no longer kept"),
    "offer": OfferError("no-codec", "no codec in common"),
    "share": ShareExceeded("your share"),
    "quota": QuotaExceeded("all of it"),
}


class _Other:
    """The other end: answers, fails or hangs, and records notices."""

    def __init__(self) -> None:
        self.notices: list[tuple[str, dict[str, Any], bytes]] = []

    async def answer(self, name: str, values: dict[str, Any], payload: bytes) -> Answer:
        if name in _FAILURES:
            raise _FAILURES[name]
        if name == "bug":
            raise ZeroDivisionError
        if name == "hang":
            await asyncio.Event().wait()
        return Answer({"name": name, **values}, payload[::-1])

    def on_notice(self, name: str, values: dict[str, Any], payload: bytes) -> None:
        self.notices.append((name, values, payload))
        if name == "bug":
            raise ZeroDivisionError


@asynccontextmanager
async def _channels() -> AsyncIterator[tuple[Channel, Channel, _Other]]:
    async def nothing(*_: Any) -> Answer:
        return NOTHING

    ends = socket.socketpair()
    streams = [await asyncio.open_unix_connection(sock=end) for end in ends]
    other = _Other()
    here = Channel(*streams[0], nothing, lambda *_: None)
    there = Channel(*streams[1], other.answer, other.on_notice)
    tasks = [asyncio.create_task(channel.serve()) for channel in (here, there)]
    try:
        yield here, there, other
    finally:
        await here.close()
        await there.close()
        await asyncio.gather(*tasks)


async def test_requests_are_answered_side_by_side_and_errors_keep_their_kind() -> None:
    async with _channels() as (here, _, __):
        hanging = asyncio.create_task(here.request("hang"))
        answers = await asyncio.gather(
            *(here.request("echo", bytes([number, 7]), number=number) for number in range(20))
        )
        assert [answer.values["number"] for answer in answers] == list(range(20))
        assert answers[3].payload == bytes([7, 3])
        for name, problem in _FAILURES.items():
            with pytest.raises(type(problem), match=str(problem)) as raised:
                await here.request(name)
            assert type(raised.value) is type(problem)
        with pytest.raises(OfferError) as refused:
            await here.request("offer")
        assert refused.value.code == "no-codec"
        with pytest.raises(ChannelClosed, match="something went wrong"):
            await here.request("bug")
        hanging.cancel()
        await asyncio.gather(hanging, return_exceptions=True)


async def test_requests_fail_when_the_other_end_goes() -> None:
    async with _channels() as (here, there, _):
        pending = [asyncio.create_task(here.request("hang")) for _ in range(2)]
        await asyncio.sleep(0.05)
        await there.close()
        for outcome in await asyncio.gather(*pending, return_exceptions=True):
            assert isinstance(outcome, ChannelClosed)
        with pytest.raises(ChannelClosed):
            await here.request("echo")
        here.notify("late")


async def test_notices_arrive_in_order_and_those_that_can_be_spared_are_dropped() -> None:
    async with _channels() as (here, _, other):
        here.notify("bug", b"payload", number=1)
        # Not read yet, as nothing was awaited: the socket's buffer fills, then the limit.
        for number in range(40):
            here.notify("log", bytes(2**18), spare=True, number=number)
        here.notify("ended", session="x")
        while not other.notices or other.notices[-1][0] != "ended":
            await asyncio.sleep(0.01)
        names = [name for name, _, __ in other.notices]

        assert other.notices[0] == ("bug", {"number": 1}, b"payload")
        assert names[-1] == "ended"
        assert 10 < names.count("log") < 30


def test_what_the_front_sends_may_be_any_value() -> None:
    assert unpickled(pickled({1: (2, 3)}, None)) == ({1: (2, 3)}, None)
