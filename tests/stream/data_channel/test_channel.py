"""Tests of the data channel over a real connection whose network can be cut."""

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

UNSOLICITED = {"type": "unsolicited", "text": "x" * 8000}
RESPONSE = {"type": "response", "id": 7}


class Server(Peer):
    """The server's end of a peer's connection, which accepts the channel."""

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
    """Cut the client's outgoing network, so that it acknowledges nothing."""
    assert client.connection.sctp
    for protocol in client.connection.sctp.transport.transport._connection._protocols:
        monkeypatch.setattr(protocol.transport, "sendto", lambda *_: None)


async def fill(channel: CaptionChannel) -> None:
    """Send unsolicited messages until one is dropped."""
    async with asyncio.timeout(20):
        while channel.send(UNSOLICITED):
            await asyncio.sleep(0)


async def test_a_response_waits_for_a_slow_client_and_other_messages_do_not(
    ends: tuple[Peer, CaptionChannel], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, channel = ends
    with monkeypatch.context() as patch:
        cut(client, patch)
        await fill(channel)
        responding = asyncio.create_task(channel.respond(RESPONSE))
        await asyncio.sleep(0.1)
        assert not responding.done()
        assert not channel.send(UNSOLICITED)
    assert await asyncio.wait_for(responding, 20)
    await client.until(lambda: client.received("response"))

    assert client.received("response") == [RESPONSE]


async def test_a_response_times_out_and_an_error_can_still_be_sent(
    ends: tuple[Peer, CaptionChannel], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, channel = ends
    monkeypatch.setattr(caption_channel, "_RESPONSE_TIMEOUT_S", 0.3)
    with monkeypatch.context() as patch:
        cut(client, patch)
        await fill(channel)
        assert not await channel.respond(RESPONSE)
        channel.send_error("busy", "too slow", 7)
        for _ in range(5000):
            channel.send_error("busy", "too slow")
    await client.until(lambda: client.received("error"))
    error: dict[str, Any] = client.received("error")[0]

    assert error == {"type": "error", "code": "busy", "message": "too slow", "id": 7}
    assert client.received("response") == []
    await client.until(lambda: channel.send({"type": "end"}))
    await client.until(lambda: client.received("end"))
    # However many errors there were, no more than the limit was ever buffered.
    buffered = sum(len(json.dumps(each)) for each in client.received("error"))
    assert buffered < 2 * 64 * 1024
