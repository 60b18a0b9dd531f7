"""Media processes of servers in a cluster."""

import asyncio
import os
import signal
import time

from aiortc import RTCSessionDescription

from stream.media import MediaProcesses
from tests.support.peer import Peer
from tests.support.servers.cluster_apps import ClusterServer, ClusterServers, eventually
from web.keys import MEDIA

_BACK_S = 15


def _media(server: ClusterServer) -> MediaProcesses:
    assert server.client.app
    media = server.client.app[MEDIA]
    assert isinstance(media, MediaProcesses)
    return media


async def test_a_media_process_that_dies_leaves_its_feeds_to_its_server(database_url: str) -> None:
    stream = {"media_processes": 2, "interval_s": 0.25}
    async with ClusterServers(database_url, stream=stream) as servers, Peer(None) as viewer:
        one, two = await servers.start(), await servers.start()
        await eventually(lambda: one.captions and two.captions, _BACK_S)
        holder, other = (one, two) if one.feeds else (two, one)
        assert (holder.feeds, other.feeds) == ({"yard"}, set())
        assert not _media(other).report.live_streams

        # The other server sends a viewer to the holder, and that to the process with the feed.
        sdp, headers = (await viewer.offer()).sdp, {"Content-Type": "application/sdp"}
        async with other.client.post(
            "/whep/yard", data=sdp, headers=headers, allow_redirects=False
        ) as response:
            assert (response.status, response.headers["Location"][: len(holder.url)]) == (
                307,
                holder.url,
            )
        async with holder.client.post("/whep/yard", data=sdp, headers=headers) as response:
            assert response.status == 201
            await viewer.accept(RTCSessionDescription(await response.text(), "answer"))
        await viewer.until(lambda: viewer.frames)

        process = _media(holder)._slots[0].process
        assert process
        killed_at = time.time()
        os.kill(process.pid, signal.SIGKILL)
        async with asyncio.timeout(_BACK_S):
            for server in (holder, other):
                while server.captions[-1].captured < killed_at:
                    await asyncio.sleep(0.05)
        assert (holder.feeds, other.feeds) == ({"yard"}, set())
        ids = [event.id for event in other.captions]
        assert len(ids) == len(set(ids))
