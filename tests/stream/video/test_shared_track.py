"""One encode for many viewers, over real peers on the loopback."""

import asyncio
import gc
import logging
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError

from stream.ice.addresses import MediaAddresses
from stream.video.shared_track import SharedVideo
from stream.video.viewer_track import ROOM, ViewerTrack, send_shared
from stream.video.vp8 import CLOCK_RATE, VideoPacket
from tests.support.peer import Peer

WIDTH, HEIGHT = 160, 120


def shaded(shade: int, width: int = WIDTH, height: int = HEIGHT) -> av.VideoFrame:
    rgb = np.full((height, width, 3), shade, np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


class Pictures(MediaStreamTrack):
    """A source of pictures, each a step lighter than the one before, at a steady rate."""

    kind = "video"

    def __init__(self, rate: float = 50) -> None:
        super().__init__()
        self.rate, self.given, self.size = rate, 0, (WIDTH, HEIGHT)
        self.may_give = asyncio.Event()
        self.may_give.set()
        self.problem: Exception | None = None

    async def recv(self) -> av.VideoFrame:
        """Give the next one."""
        await asyncio.sleep(1 / self.rate)
        await self.may_give.wait()
        if self.problem:
            raise self.problem
        self.given += 1
        picture = shaded(40 + 4 * (self.given % 40), *self.size)
        # A source that begins anew, again and again.
        picture.pts, picture.time_base = self.given % 3, Fraction(1, 1000)
        return picture


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2, "encoding") as pool:
        yield pool


@asynccontextmanager
async def sharing(pool: ThreadPoolExecutor, source: Pictures) -> AsyncIterator[SharedVideo]:
    video = SharedVideo(source, pool)
    yield video
    await video.close()


async def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


async def take(track: ViewerTrack, count: int) -> list[VideoPacket]:
    async with asyncio.timeout(10):
        return [await track.recv() for _ in range(count)]


def decoded(packets: list[VideoPacket]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("vp8", "r")
    return [frame for packet in packets for frame in decoder.decode(packet)]


@asynccontextmanager
async def watching(video: SharedVideo) -> AsyncIterator[tuple[Peer, RTCPeerConnection]]:
    """A viewer and the server's end of its connection."""
    server = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    track = video.watch()
    send_shared(server, track)
    async with Peer(None) as viewer:
        await server.setRemoteDescription(await viewer.offer())
        await server.setLocalDescription()
        await viewer.accept(server.localDescription)
        yield viewer, server
    await server.close()
    track.stop()


async def test_two_viewers_see_the_same_pictures_with_one_encode_for_each(
    pool: ThreadPoolExecutor, loopback: MediaAddresses
) -> None:
    source = Pictures()
    async with sharing(pool, source) as video, watching(video) as (one, _):
        await one.until(lambda: len(one.pictures) > 5)
        async with watching(video) as (two, _):
            await two.until(lambda: len(two.pictures) > 20)
            assert video.viewers == 2
            assert video.encoded <= source.given

        # The same packets, each sent from a start of its own: the same pixels, the same distances.
        seen = [picture.to_ndarray() for picture in one.pictures[-60:]]
        first = two.pictures[0].to_ndarray()
        at = next(place for place, picture in enumerate(seen) if np.array_equal(picture, first))
        matched = list(zip(seen[at:], two.pictures, strict=False))
        assert len(matched) > 10
        assert all(np.array_equal(mine, hers.to_ndarray()) for mine, hers in matched)


async def test_a_late_joiner_begins_with_a_key_frame_at_once(pool: ThreadPoolExecutor) -> None:
    async with sharing(pool, Pictures()) as video:
        early = video.watch()
        await take(early, 20)
        reading = asyncio.create_task(take(early, 40))
        begun = time.monotonic()
        late = await take(video.watch(), 3)

        assert time.monotonic() - begun < 1
        assert [packet.is_keyframe for packet in late] == [True, False, False]
        assert len(decoded(late)) == 3
        assert sum(packet.is_keyframe for packet in await reading) == 1


async def test_viewers_who_join_together_share_a_key_frame(pool: ThreadPoolExecutor) -> None:
    async with sharing(pool, Pictures()) as video:
        await take(video.watch(), 20)
        before = video.key_frames
        firsts = []
        for _ in range(6):
            firsts += await take(video.watch(), 1)
            await asyncio.sleep(0.01)

        assert all(packet.is_keyframe for packet in firsts)
        assert video.key_frames - before == 1


async def test_a_joiner_sees_the_last_picture_of_a_source_that_stands_still(
    pool: ThreadPoolExecutor,
) -> None:
    source = Pictures()
    async with sharing(pool, source) as video:
        await take(video.watch(), 20)
        source.may_give.clear()
        await asyncio.sleep(0.3)
        late = await take(video.watch(), 1)

        assert late[0].is_keyframe
        assert video.encoded == source.given + 1


async def test_lost_pictures_are_mended_by_a_key_frame_but_not_by_many(
    pool: ThreadPoolExecutor, loopback: MediaAddresses
) -> None:
    async with sharing(pool, Pictures()) as video, watching(video) as (viewer, _):
        await viewer.until(lambda: len(viewer.pictures) > 5)
        receiver = viewer.connection.getReceivers()[0]
        before, begun = video.key_frames, time.monotonic()
        while time.monotonic() - begun < 1.5:
            for source in receiver.getSynchronizationSources():
                await receiver._send_rtcp_pli(source.source)
            await asyncio.sleep(0.02)

        assert 1 <= video.key_frames - before <= 2


async def test_a_viewer_that_does_not_read_loses_its_own_packets_alone(
    pool: ThreadPoolExecutor,
) -> None:
    async with sharing(pool, Pictures(rate=200)) as video:
        stuck, lively = video.watch(), video.watch()
        await take(stuck, 2)
        seen = await take(lively, 3 * ROOM)
        dropped, encoded = video.dropped, video.encoded

        assert ROOM <= dropped == stuck.dropped <= encoded
        assert lively.dropped == 0
        stamps = [packet.pts or 0 for packet in seen]
        assert stamps == sorted(stamps)
        lively_on = asyncio.create_task(take(lively, 2 * ROOM))
        again = await take(stuck, ROOM)
        while not again[0].is_keyframe:
            again.pop(0)
        assert len(decoded(again)) == len(again)
        await lively_on
        stuck.stop()
        assert video.dropped >= dropped


async def test_times_go_on_by_the_servers_clock_whatever_the_source_says(
    pool: ThreadPoolExecutor,
) -> None:
    async with sharing(pool, Pictures(rate=50)) as video:
        begun = time.monotonic()
        packets = await take(video.watch(), 30)
        took = time.monotonic() - begun

    stamps = [packet.pts or 0 for packet in packets]
    assert all(later > earlier for earlier, later in pairwise(stamps))
    assert packets[0].time_base == Fraction(1, CLOCK_RATE)
    assert 0.5 * took < (stamps[-1] - stamps[0]) / CLOCK_RATE < 1.5 * took


async def test_a_source_may_change_its_size(pool: ThreadPoolExecutor) -> None:
    source = Pictures()
    async with sharing(pool, source) as video:
        track = video.watch()
        packets = await take(track, 5)
        source.size = 321, 181
        packets += await take(track, 5)

    pictures = decoded(packets)
    assert (pictures[0].width, pictures[0].height) == (WIDTH, HEIGHT)
    assert (pictures[-1].width, pictures[-1].height) == (321, 181)


async def test_a_picture_that_cannot_be_drawn_ends_nothing(
    pool: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    source = Pictures()
    async with sharing(pool, source) as video:
        track = video.watch()
        await take(track, 3)
        source.problem = RuntimeError("no paint")
        await until(lambda: video.failed == 2)
        source.problem = None
        begun = await take(track, ROOM)

    assert len(decoded([packet for packet in begun if packet.is_keyframe])) == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_nothing_is_read_while_nobody_watches(pool: ThreadPoolExecutor) -> None:
    source = Pictures()
    async with sharing(pool, source) as video:
        offered = video.watch()
        await asyncio.sleep(0.1)
        assert (source.given, video.viewers) == (0, 1)
        await take(offered, 3)
        offered.stop()
        assert video.viewers == 0
        await asyncio.sleep(0.3)
        seen = source.given
        await asyncio.sleep(0.2)
        assert source.given == seen
        assert (await take(video.watch(), 1))[0].is_keyframe


async def test_the_end_of_the_source_is_the_end_for_all(pool: ThreadPoolExecutor) -> None:
    source = Pictures()
    async with sharing(pool, source) as video:
        track = video.watch()
        await take(track, 1)
        source.problem = MediaStreamError()
        with pytest.raises(MediaStreamError):
            await take(track, 100)
        assert video.viewers == 0


async def test_nothing_is_left_after_close(pool: ThreadPoolExecutor) -> None:
    tasks = asyncio.all_tasks()
    video = SharedVideo(Pictures(), pool)
    watched = [video.watch() for _ in range(3)]
    reading = [asyncio.create_task(take(track, 1000)) for track in watched]
    await until(lambda: video.encoded > 3)
    await video.close()
    await video.close()

    ended = await asyncio.gather(*reading, return_exceptions=True)
    assert {type(problem) for problem in ended} == {MediaStreamError}
    with pytest.raises(MediaStreamError):
        await video.watch().recv()
    assert (video.viewers, asyncio.all_tasks()) == (0, tasks)
    gone = [weakref.ref(track) for track in watched]
    del watched, reading, ended
    await asyncio.sleep(0)
    gc.collect()
    assert not any(track() for track in gone)


async def test_h264_is_not_agreed_on(pool: ThreadPoolExecutor, loopback: MediaAddresses) -> None:
    async with sharing(pool, Pictures()) as video, watching(video) as (_, server):
        answer = server.localDescription.sdp
    assert "VP8/90000" in answer
    assert "H264" not in answer
