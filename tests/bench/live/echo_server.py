"""What the server is compared to: it decodes the video, encodes it again, and does nothing more."""

import asyncio
from typing import Any

from aiohttp import web
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from stream.ice.addresses import MediaAddresses
from tests.bench.serving import HOST, serve


class Echoes:
    """All peers that hear themselves."""

    def __init__(self) -> None:
        """Begin with none."""
        self._addresses = MediaAddresses(HOST)
        self._peers: set[RTCPeerConnection] = set()

    def __len__(self) -> int:
        return len(self._peers)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer an offer."""
        offer = await request.json()
        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._peers.add(peer)

        def echo(track: MediaStreamTrack) -> None:
            peer.addTrack(track)

        async def part() -> None:
            if peer.connectionState in ("closed", "failed"):
                await peer.close()
                self._peers.discard(peer)

        peer.on("track", echo)
        peer.on("connectionstatechange", part)
        admitted = self._addresses.admit(offer["sdp"])
        await peer.setRemoteDescription(RTCSessionDescription(admitted, offer["type"]))
        await peer.setLocalDescription()
        answer = peer.localDescription
        return web.json_response({"sdp": answer.sdp, "type": answer.type})

    async def close(self, _: web.Application) -> None:
        """Part from all."""
        await asyncio.gather(*(peer.close() for peer in self._peers))


async def main() -> None:
    """Serve echoes."""
    echoes = Echoes()
    app = web.Application()
    app.router.add_post("/offer", echoes.answer)
    app.on_shutdown.append(echoes.close)

    def tell() -> dict[str, Any]:
        return {"sessions": len(echoes)}

    await serve(app, _at_once, tell)


async def _at_once() -> None:
    """An echo has nothing to load."""


if __name__ == "__main__":
    asyncio.run(main())
