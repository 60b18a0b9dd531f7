"""Messages over a real data channel to a server that runs."""

import asyncio
import contextlib
import json
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from stream.ice.addresses import MediaAddresses
from tests.fuzz.faults import Fault

_ANSWER_S = 10.0
_CONNECT_S = 30.0


class Speaker:
    """One client that watches the demo, and says anything; an asynchronous context manager."""

    def __init__(self, url: str) -> None:
        """Prepare to speak to the server at an URL."""
        self._url, self._addresses = url, MediaAddresses("127.0.0.1")
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._peer.createDataChannel("captions")
        self._channel.on("message", self._on_message)
        self._greeted = asyncio.Event()
        self._pongs: dict[int, asyncio.Event] = {}
        self._pings = 0
        self.heard: dict[str, int] = {}
        """How many messages of each type came."""

    async def __aenter__(self) -> Self:
        self._peer.addTransceiver("video", direction="recvonly")
        await self._peer.setLocalDescription()
        sdp = self._peer.localDescription.sdp
        body = {"sdp": sdp, "type": "offer", "source": "demo"}
        async with (
            aiohttp.ClientSession(self._url, raise_for_status=True) as http,
            http.post("/offer", json=body) as response,
        ):
            answer = await response.json()
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        async with asyncio.timeout(_CONNECT_S):
            await self._greeted.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), 5)
        self._addresses.release()

    async def say(self, messages: list[str | bytes]) -> None:
        """Send messages, and a ping after them, which has to be answered.

        Raises:
            Fault: If it is not, or the channel is closed.
        """
        for message in messages:
            self._channel.send(message)
        # No message that is made up has so great a number.
        self._pings += 1
        number = 2**40 + self._pings
        pong = self._pongs[number] = asyncio.Event()
        self._channel.send(json.dumps({"type": "ping", "id": number}))
        try:
            async with asyncio.timeout(_ANSWER_S):
                await pong.wait()
        except TimeoutError as problem:
            told = f"no pong in {_ANSWER_S} s; the channel is {self._channel.readyState}"
            raise Fault(told) from problem
        finally:
            del self._pongs[number]

    def _on_message(self, text: str) -> None:
        message: dict[str, Any] = json.loads(text)
        kind = message["type"]
        self.heard[kind] = self.heard.get(kind, 0) + 1
        if kind == "hello":
            self._greeted.set()
        if kind == "pong" and message["id"] in self._pongs:
            self._pongs[message["id"]].set()
