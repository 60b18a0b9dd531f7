"""Fuzz targets: they submit input, and check that the reaction is allowed and timely."""

import asyncio
import contextlib
import json
import re
import time
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from stream.context import StreamContext
from stream.ice.addresses import MediaAddresses
from stream.publishing.publications import Publications
from stream.webrtc.offer import Offer, OfferError
from stream.webrtc.session import Session
from tests.fuzz.faults import Fault

_MAX_SDP_BYTES = 65_536
_MAX_OFFER_CPU_S = 2.0
"""CPU time of parsing and answering an offer."""
_OFFER_TIMEOUT_S = 30.0
_PONG_TIMEOUT_S = 10.0
_CONNECT_TIMEOUT_S = 30.0
_CLOSE_TIMEOUT_S = 5.0
_RESPONSE_TIMEOUT_S = 15.0
_MAX_RESPONSE_BYTES = 65_536


class OfferTarget:
    """Answers SDP offers in this process, and counts the outcomes."""

    def __init__(self, context: StreamContext) -> None:
        """Answer with sessions in a stream context."""
        self._context = context
        self.answered = self.refused = 0

    async def submit(self, sdp: str, source: str) -> None:
        """Submit an offer; it must be answered or refused in bounded time.

        Raises:
            Fault: If it takes too long, or the answer is malformed.
        """
        used = time.process_time()
        try:
            async with asyncio.timeout(_OFFER_TIMEOUT_S):
                await self._answer({"sdp": sdp, "type": "offer", "source": source})
        except TimeoutError as problem:
            raise Fault(f"no answer within {_OFFER_TIMEOUT_S} s") from problem
        if (used := time.process_time() - used) > _MAX_OFFER_CPU_S:
            raise Fault(f"the offer took {used:.1f} s of CPU time")

    async def _answer(self, body: dict[str, str]) -> None:
        try:
            offer = Offer.from_json(body, _MAX_SDP_BYTES)
            session = Session(offer, self._context, Publications(), may_analyse=True)
            try:
                answer = await session.answer()
            finally:
                await session.close()
        except OfferError:
            self.refused += 1
            return
        if not answer.sdp.startswith("v=0") or answer.type != "answer":
            raise Fault(f"malformed answer: {answer}")
        self.answered += 1


class DataChannelTarget:
    """Sends arbitrary messages on the data channel of a demo session; an async context manager."""

    def __init__(self, url: str) -> None:
        """Prepare to connect to the server at a URL."""
        self._url, self._addresses = url, MediaAddresses("127.0.0.1")
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._peer.createDataChannel("captions")
        self._channel.on("message", self._on_message)
        self._greeted = asyncio.Event()
        self._pongs: dict[int, asyncio.Event] = {}
        self._pings = 0
        self.received: dict[str, int] = {}
        """Number of received messages by type."""

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
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            await self._greeted.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._peer.close(), _CLOSE_TIMEOUT_S)
        self._addresses.release()

    async def submit(self, messages: list[str | bytes]) -> None:
        """Send messages and then a ping, which must be answered.

        Raises:
            Fault: If it is not answered, or the channel is closed.
        """
        for message in messages:
            self._channel.send(message)
        # Larger than any id in a generated message.
        self._pings += 1
        number = 2**40 + self._pings
        pong = self._pongs[number] = asyncio.Event()
        self._channel.send(json.dumps({"type": "ping", "id": number}))
        try:
            async with asyncio.timeout(_PONG_TIMEOUT_S):
                await pong.wait()
        except TimeoutError as problem:
            state = self._channel.readyState
            raise Fault(f"no pong within {_PONG_TIMEOUT_S} s; the channel is {state}") from problem
        finally:
            del self._pongs[number]

    def _on_message(self, text: str) -> None:
        message: dict[str, Any] = json.loads(text)
        kind = message["type"]
        self.received[kind] = self.received.get(kind, 0) + 1
        if kind == "hello":
            self._greeted.set()
        if kind == "pong" and message["id"] in self._pongs:
            self._pongs[message["id"]].set()


class HttpTarget:
    """Sends HTTP requests as bytes, each over its own connection, and counts the responses."""

    def __init__(self, url: str) -> None:
        """Send to the server at a URL."""
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self.statuses: dict[int, int] = {}
        """Number of responses by status; 0 for connections closed without one."""

    async def submit(self, request: bytes) -> None:
        """Send a request; the server must respond or close the connection.

        Only the beginning of the response is read: event streams are endless.

        Raises:
            Fault: If neither happens in time, or the response reports a server error.
        """
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            response = await self._exchange(reader, writer, request)
        except TimeoutError as problem:
            raise Fault(f"no response within {_RESPONSE_TIMEOUT_S} s") from problem
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        match = re.match(rb"HTTP/\d\.\d (\d{3})", response)
        if response and not match:
            raise Fault(f"malformed response: {response[:200]!r}")
        status = int(match[1]) if match else 0
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status >= 500 and status not in (501, 503, 505):
            raise Fault(f"server error: {response[:500]!r}")

    async def _exchange(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> bytes:
        with contextlib.suppress(ConnectionError):
            writer.write(request)
        async with asyncio.timeout(_RESPONSE_TIMEOUT_S):
            with contextlib.suppress(ConnectionError):
                return await reader.read(_MAX_RESPONSE_BYTES)
        return b""
