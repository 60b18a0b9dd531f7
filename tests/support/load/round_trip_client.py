"""The load: a camera with numbered pictures, and a note of when each came back.

`python -m tests.bench.client URL --warm-up S --seconds S [--interval S]`. All times are Unix times;
all processes of the benchmark share the machine's clock.
"""

import argparse
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
from stream.video.frame import blank, planes
from tests.bench.footage import footage_path, read_footage
from tests.bench.frame_number import paint, read
from tests.bench.orders import run_until_dismissed, say

WIDTH, HEIGHT = 640, 480
RATE = 30
TICKS = 90_000 // RATE
"""From one picture's timestamp to the next's, in 1/90000 s."""

_TIME_BASE = Fraction(1, 90_000)
_CONNECT_S = 30.0
_LATE_S = 1.0
"""How long what was sent in the measured time may take to come back and still count."""


class Camera(MediaStreamTrack):
    """Real footage by the clock, over and over, each picture with its number on it.

    As with a camera, what is not asked for in time is skipped.
    """

    kind = "video"

    def __init__(self, footage: list[av.VideoFrame]) -> None:
        """Begin with the first call of `recv`."""
        super().__init__()
        self._footage = footage
        self._begun: float | None = None
        self._number = -1
        self.sent: dict[int, float] = {}
        """When each number left, before it was encoded."""

    async def recv(self) -> av.VideoFrame:
        """Wait until the next picture is due.

        Raises:
            MediaStreamError: If the track was stopped.
        """
        if self.readyState != "live":
            raise MediaStreamError
        self._begun = self._begun or time.monotonic()
        elapsed = time.monotonic() - self._begun
        self._number = max(self._number + 1, int(elapsed * RATE))
        picture = self._picture()
        if (early := self._begun + self._number / RATE - time.monotonic()) > 0:
            await asyncio.sleep(early)
        self.sent[self._number] = time.time()
        return picture

    def _picture(self) -> av.VideoFrame:
        original = self._footage[self._number % len(self._footage)]
        # A copy, since the encoder marks the pictures that it is to code by themselves.
        picture = blank(WIDTH, HEIGHT)
        for source, target in zip(planes(original), planes(picture), strict=True):
            target[:] = source
        paint(picture, self._number)
        picture.pts, picture.time_base = self._number * TICKS, _TIME_BASE
        return picture


class Client:
    """A connection to a server, and what came of it; an asynchronous context manager."""

    def __init__(
        self,
        url: str,
        camera: Camera,
        interval_s: float | None,
        address: str = "127.0.0.1",
        token: str = "",
    ) -> None:
        """Prepare to send to a server, and to ask it for captions if an interval is given.

        Args:
            url: Of the server.
            camera: What to send.
            interval_s: Between captions; None for no captions.
            address: Its own, which media uses.
            token: To show to the server, if it asks for one.
        """
        self._url, self._camera, self._interval_s = url, camera, interval_s
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._addresses = MediaAddresses(address)
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._receiving: set[asyncio.Task[None]] = set()
        self._begun = asyncio.Event()
        self.returned: list[tuple[int | None, float]] = []
        """The number of each picture that came, None where it cannot be read, and when it came."""
        self.captions: list[dict[str, Any]] = []
        self._channel = self._peer.createDataChannel("captions")
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}

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
        """Return when the video comes back, and the captions come."""
        self._peer.on("track", self._on_track)
        self._channel.on("message", self._on_message)
        if self._interval_s:
            wanted = json.dumps({"type": "configure", "interval_s": self._interval_s})
            self._channel.on("open", lambda: self._channel.send(wanted))
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
        await self._begun.wait()

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Ask for something under an id; return the last word on it."""
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[message["id"]] = answer
        self._channel.send(json.dumps(message))
        return await answer

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._receiving.add(asyncio.create_task(self._receive(track)))

    async def _receive(self, track: MediaStreamTrack) -> None:
        while True:
            try:
                picture = await track.recv()
            except MediaStreamError:
                return
            came = time.time()
            assert isinstance(picture, av.VideoFrame)
            self.returned.append((read(picture), came))
            self._note_begin()

    def _on_message(self, text: str) -> None:
        came = time.time()
        message = json.loads(text)
        if message["type"] in ("result", "error") and message.get("id") in self._answers:
            self._answers.pop(message["id"]).set_result(message)
        if message["type"] == "caption":
            self.captions.append(
                {
                    "seq": message["seq"],
                    "came": came,
                    "pts": message["frame"]["pts"],
                    "captured": message["frame"]["time"],
                    "timing_ms": message["timing_ms"],
                    "text": message["text"],
                }
            )
            self._note_begin()

    def _note_begin(self) -> None:
        if self.returned and (self.captions or not self._interval_s):
            self._begun.set()


async def run(options: argparse.Namespace) -> None:
    """Measure once, and tell when the measured time begins, when it ends, and all that came."""
    footage = read_footage(footage_path(), WIDTH, HEIGHT)
    camera = Camera(footage)
    async with Client(options.url, camera, options.interval) as client:
        async with asyncio.timeout(_CONNECT_S):
            await client.connect()
        await asyncio.sleep(options.warm_up)
        begun = time.time()
        say(event="begin")
        await asyncio.sleep(options.seconds)
        ended = time.time()
        say(event="end")
        await asyncio.sleep(_LATE_S)
    # Once this is said, there may be no time left to part from the server.
    say(
        event="result",
        begun=begun,
        ended=ended,
        sent=list(camera.sent.items()),
        returned=client.returned,
        captions=client.captions,
    )


def main() -> None:
    """Run until the work is done, or the process that started this one is gone."""
    parser = argparse.ArgumentParser(description="The load generator of the live benchmark.")
    parser.add_argument("url", help="of the server")
    parser.add_argument("--warm-up", type=float, required=True, help="seconds before measuring")
    parser.add_argument("--seconds", type=float, required=True, help="of measuring")
    parser.add_argument("--interval", type=float, help="seconds between captions; none by default")
    asyncio.run(run_until_dismissed(run(parser.parse_args())))


if __name__ == "__main__":
    main()
