"""The baseline server: it decodes the video and encodes it again."""

import asyncio
from typing import Any

from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from stream.ice.addresses import MediaAddresses
from tests.bench.live.measured_server import HOST, serve


class Echo:
    """Connections that return the video they receive."""

    def __init__(self) -> None:
        """Start without connections."""
        self._addresses = MediaAddresses(HOST)
        self._peers: set[RTCPeerConnection] = set()

    def __len__(self) -> int:
        return len(self._peers)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer an offer."""
        offer = await request.json()
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.add(peer)

        def on_track(track: MediaStreamTrack) -> None:
            peer.addTrack(track)

        async def on_state_change() -> None:
            if peer.connectionState in ("closed", "failed"):
                await peer.close()
                self._peers.discard(peer)

        peer.on("track", on_track)
        peer.on("connectionstatechange", on_state_change)
        sdp = self._addresses.filter_candidates(offer["sdp"])
        await peer.setRemoteDescription(RTCSessionDescription(sdp, offer["type"]))
        await peer.setLocalDescription()
        answer = peer.localDescription
        return web.json_response({"sdp": answer.sdp, "type": answer.type})

    async def close(self, _: web.Application) -> None:
        """Close all connections."""
        await asyncio.gather(*(peer.close() for peer in self._peers))


async def main() -> None:
    """Serve until stopped."""
    echo = Echo()
    app = web.Application()
    app.router.add_post("/offer", echo.answer)
    app.on_shutdown.append(echo.close)

    def state() -> dict[str, Any]:
        return {"sessions": len(echo)}

    await serve(app, _wait_ready, state)


async def _wait_ready() -> None:
    """Return at once; there is nothing to load."""


if __name__ == "__main__":
    asyncio.run(main())
