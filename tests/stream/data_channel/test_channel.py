"""The data channel over a real connection, and a network that can be cut."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiortc import RTCDataChannel

from stream.data_channel import channel as caption_channel
from stream.data_channel.channel import CaptionChannel
from stream.ice.addresses import MediaAddresses
from stream.settings import StreamSettings
from tests.support.peer import Peer

NEWS = {"type": "news", "text": "x" * 8000}
ANSWER = {"type": "answer", "id": 7}


class Server(Peer):
    """The other end of a peer: it answers, and takes the channel."""

    def __init__(self) -> None:
        super().__init__(None)
        self.opened: asyncio.Future[CaptionChannel] = asyncio.Future()
        self.connection.on("datachannel", self._on_datachannel)

    def _on_datachannel(self, channel: RTCDataChannel) -> None:
        self.opened.set_result(CaptionChannel(channel, StreamSettings(), lambda _: None))


@pytest_asyncio.fixture
async def ends(loopback: MediaAddresses) -> AsyncIterator[tuple[Peer, CaptionChannel]]:
    async with Peer(None) as client, Server() as server:
        await server.accept(await client.offer())
        answer = await server.connection.createAnswer()
        await server.connection.setLocalDescription(answer)
        await client.accept(server.connection.localDescription)
        yield client, await asyncio.wait_for(server.opened, 20)


def cut(client: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing out of the client any more: what it gets, it does not acknowledge."""
    assert client.connection.sctp
    for protocol in client.connection.sctp.transport.transport._connection._protocols:
        monkeypatch.setattr(protocol.transport, "sendto", lambda *_: None)


async def fall_behind(channel: CaptionChannel) -> None:
    """Send news until no more is taken."""
    async with asyncio.timeout(20):
        while channel.send(NEWS):
            await asyncio.sleep(0)


async def test_an_answer_waits_for_a_client_that_is_behind_and_news_does_not(
    ends: tuple[Peer, CaptionChannel], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, channel = ends
    with monkeypatch.context() as patch:
        cut(client, patch)
        await fall_behind(channel)
        answering = asyncio.create_task(channel.answer(ANSWER))
        await asyncio.sleep(0.1)
        assert not answering.done()
        assert not channel.send(NEWS)
    assert await asyncio.wait_for(answering, 20)
    await client.until(lambda: client.of_type("answer"))

    assert client.of_type("answer") == [ANSWER]


async def test_an_answer_that_finds_no_way_says_so_in_time_and_an_error_may_still_pass(
    ends: tuple[Peer, CaptionChannel], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, channel = ends
    monkeypatch.setattr(caption_channel, "_PATIENCE_S", 0.3)
    with monkeypatch.context() as patch:
        cut(client, patch)
        await fall_behind(channel)
        assert not await channel.answer(ANSWER)
        channel.error("busy", "too slow", 7)
        for _ in range(5000):
            channel.error("busy", "too slow")
    await client.until(lambda: client.of_type("error"))
    error: dict[str, Any] = client.of_type("error")[0]

    assert error == {"type": "error", "code": "busy", "message": "too slow", "id": 7}
    assert client.of_type("answer") == []
    await client.until(lambda: channel.send({"type": "end"}))
    await client.until(lambda: client.of_type("end"))
    # However many there were: no more than the bound was ever kept.
    kept = sum(len(json.dumps(each)) for each in client.of_type("error"))
    assert kept < 2 * 64 * 1024
