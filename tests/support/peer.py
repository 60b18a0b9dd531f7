"""A WebRTC peer with real codecs and a real transport, but without a browser."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError

_NO_SERVERS = RTCConfiguration(iceServers=[])


class Peer:
    """A client that records the frames and messages it receives; an async context manager."""

    def __init__(
        self,
        footage: Path | MediaStreamTrack | None,
        ice: RTCConfiguration = _NO_SERVERS,
        *,
        channel: bool = True,
    ) -> None:
        """Prepare a connection.

        Args:
            footage: A video to send again and again, or a track to send; without one the peer only
                receives.
            ice: STUN and TURN servers, none by default.
            channel: Whether to open a data channel.
        """
        self.messages: list[dict[str, Any]] = []
        self.frames: list[av.VideoFrame] = []
        self.connection = RTCPeerConnection(ice)
        if channel:
            self.channel = self.connection.createDataChannel("captions")
            self.channel.on("message", lambda text: self.messages.append(json.loads(text)))
        self.connection.on("track", self._on_track)
        if isinstance(footage, Path):
            footage = MediaPlayer(str(footage), loop=True).video
        self._footage = footage
        self._receiving: set[asyncio.Task[None]] = set()
        if self._footage:
            self.connection.addTrack(self._footage)
        else:
            self.connection.addTransceiver("video", direction="recvonly")

    async def offer(self) -> RTCSessionDescription:
        """Create an offer that contains all ICE candidates."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return self.connection.localDescription

    async def accept(self, answer: RTCSessionDescription) -> None:
        """Apply the server's answer."""
        await self.connection.setRemoteDescription(answer)

    def send(self, message: dict[str, Any] | str | bytes) -> None:
        """Send a message, or any text, on the data channel."""
        self.channel.send(json.dumps(message) if isinstance(message, dict) else message)

    def received(self, kind: str) -> list[dict[str, Any]]:
        """Return the received messages of a type, in order."""
        return [message for message in self.messages if message["type"] == kind]

    async def until(self, condition: Callable[[], Any], seconds: float = 20) -> None:
        """Wait until a condition on the received frames and messages holds."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)

    def _on_track(self, track: MediaStreamTrack) -> None:
        task = asyncio.create_task(self._receive(track))
        self._receiving.add(task)

    async def _receive(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            assert isinstance(frame, av.VideoFrame)
            self.frames.append(frame)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.connection.close()
        if self._footage:
            self._footage.stop()
        # The track of a connection that was never established does not end with it.
        for task in self._receiving:
            task.cancel()
        await asyncio.gather(*self._receiving, return_exceptions=True)
