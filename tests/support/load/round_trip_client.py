"""A WebRTC client that sends numbered frames and records when each is returned.

All times are Unix times; the processes of a measurement share the machine's clock.
"""

import asyncio
import json
import time
from fractions import Fraction
from types import TracebackType
from typing import Any, Self

import aiohttp
import av
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError

from stream.ice.addresses import MediaAddresses
from stream.video import blank_frame, yuv_planes
from tests.support.load.frame_number import draw_number, read_number

WIDTH, HEIGHT = 640, 480
RATE = 30
TICKS_PER_FRAME = 90_000 // RATE
"""Difference of the RTP timestamps of consecutive frames, in 1/90000 s."""

_TIME_BASE = Fraction(1, 90_000)


class NumberedCamera(MediaStreamTrack):
    """Footage in a loop and in real time, with a number drawn into each frame.

    As with a camera, frames that are not read in time are skipped.
    """

    kind = "video"

    def __init__(self, footage: list[av.VideoFrame]) -> None:
        """Prepare to start at the first call of `recv`."""
        super().__init__()
        self._footage = footage
        self._started: float | None = None
        self._number = -1
        self.sent: dict[int, float] = {}
        """When each frame was sent, before encoding, by number."""

    async def recv(self) -> av.VideoFrame:
        """Return the next frame when it is due.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        self._started = self._started or time.monotonic()
        elapsed = time.monotonic() - self._started
        self._number = max(self._number + 1, int(elapsed * RATE))
        frame = self._draw_frame()
        if (early_s := self._started + self._number / RATE - time.monotonic()) > 0:
            await asyncio.sleep(early_s)
        self.sent[self._number] = time.time()
        return frame

    def _draw_frame(self) -> av.VideoFrame:
        original = self._footage[self._number % len(self._footage)]
        # A copy, because the encoder marks frames that it is to encode as key frames.
        frame = blank_frame(WIDTH, HEIGHT)
        for source, target in zip(yuv_planes(original), yuv_planes(frame), strict=True):
            target[:] = source
        draw_number(frame, self._number)
        frame.pts, frame.time_base = self._number * TICKS_PER_FRAME, _TIME_BASE
        return frame


class RoundTripClient:
    """A connection to a server and what it returned; an async context manager."""

    def __init__(
        self,
        url: str,
        camera: NumberedCamera,
        interval_s: float | None,
        address: str = "127.0.0.1",
        token: str = "",
    ) -> None:
        """Prepare to connect to a server.

        Args:
            url: URL of the server.
            camera: The video to send.
            interval_s: Interval of captions, in seconds; None if the server has none.
            address: Local IP address for media.
            token: Bearer token, if the server requires one.
        """
        self._url, self._camera, self._interval_s = url, camera, interval_s
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._addresses = MediaAddresses(address)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._receiving: set[asyncio.Task[None]] = set()
        self._streaming = asyncio.Event()
        self.returned: list[tuple[int | None, float]] = []
        """The number of each returned frame, None if it is unreadable, and its arrival time."""
        self.captions: list[dict[str, Any]] = []
        """The received captions, each with its arrival time as `received`."""
        self._channel = self._peer.createDataChannel("captions")
        self._responses: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._peer.close()
        self._camera.stop()
        await asyncio.gather(*self._receiving, return_exceptions=True)
        self._addresses.release()

    async def connect(self) -> None:
        """Connect, and wait until video and captions arrive."""
        self._peer.on("track", self._on_track)
        self._channel.on("message", self._on_message)
        if self._interval_s:
            settings = json.dumps({"type": "configure", "interval_s": self._interval_s})
            self._channel.on("open", lambda: self._channel.send(settings))
        self._peer.addTrack(self._camera)
        transceiver = self._peer.getTransceivers()[0]
        capabilities = RTCRtpSender.getCapabilities("video").codecs
        transceiver.setCodecPreferences(
            [codec for codec in capabilities if codec.mimeType in ("video/VP8", "video/rtx")]
        )
        await self._peer.setLocalDescription()
        offer = self._peer.localDescription
        async with (
            aiohttp.ClientSession(headers=self._headers, raise_for_status=True) as http,
            http.post(f"{self._url}/offer", json={"sdp": offer.sdp, "type": "offer"}) as response,
        ):
            answer = await response.json()
        await self._peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        await self._streaming.wait()

    async def request(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a request with an `id` on the data channel; return its `result` or `error`."""
        response: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._responses[message["id"]] = response
        self._channel.send(json.dumps(message))
        return await response

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._receiving.add(asyncio.create_task(self._receive(track)))

    async def _receive(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            received = time.time()
            assert isinstance(frame, av.VideoFrame)
            self.returned.append((read_number(frame), received))
            self._check_streaming()

    def _on_message(self, text: str) -> None:
        received = time.time()
        message = json.loads(text)
        if message["type"] in ("result", "error") and message.get("id") in self._responses:
            self._responses.pop(message["id"]).set_result(message)
        if message["type"] == "caption":
            self.captions.append(
                {
                    "seq": message["seq"],
                    "received": received,
                    "pts": message["frame"]["pts"],
                    "captured": message["frame"]["time"],
                    "timing_ms": message["timing_ms"],
                    "text": message["text"],
                }
            )
            self._check_streaming()

    def _check_streaming(self) -> None:
        if self.returned and (self.captions or not self._interval_s):
            self._streaming.set()
