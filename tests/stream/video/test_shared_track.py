"""Tests of video that is encoded once for many viewers, over real peers on the loopback."""

import asyncio
import gc
import logging
import re
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
from av.video.codeccontext import VideoCodecContext

from stream.ice.addresses import MediaAddresses
from stream.video.shared_encoder import _ENCODERS, CLOCK_RATE, SharedCodec, VideoPacket
from stream.video.shared_track import SharedVideo
from stream.video.viewer_track import QUEUE_SIZE, ViewerTrack, send_shared_video
from tests.support.peer import Peer

WIDTH, HEIGHT = 160, 120


def shaded(shade: int, width: int = WIDTH, height: int = HEIGHT) -> av.VideoFrame:
    rgb = np.full((height, width, 3), shade, np.uint8)
    return av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")


class ShadedSource(MediaStreamTrack):
    """A source of frames at a steady rate, each a step lighter than the one before."""

    kind = "video"

    def __init__(self, rate: float = 50) -> None:
        super().__init__()
        self.rate, self.returned, self.size = rate, 0, (WIDTH, HEIGHT)
        self.may_return = asyncio.Event()
        self.may_return.set()
        self.error: Exception | None = None

    async def recv(self) -> av.VideoFrame:
        """Return the next frame."""
        await asyncio.sleep(1 / self.rate)
        await self.may_return.wait()
        if self.error:
            raise self.error
        self.returned += 1
        frame = shaded(40 + 4 * (self.returned % 40), *self.size)
        # Timestamps that restart again and again.
        frame.pts, frame.time_base = self.returned % 3, Fraction(1, 1000)
        return frame


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2, "encoding") as pool:
        yield pool


@asynccontextmanager
async def sharing(pool: ThreadPoolExecutor, source: ShadedSource) -> AsyncIterator[SharedVideo]:
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


def decoded(packets: list[VideoPacket], codec: str = "vp8") -> list[av.VideoFrame]:
    decoder = av.CodecContext.create(codec, "r")
    assert isinstance(decoder, VideoCodecContext)
    return [frame for packet in [*packets, None] for frame in decoder.decode(packet)]


@asynccontextmanager
async def watching(
    video: SharedVideo, codec: SharedCodec = SharedCodec.VP8
) -> AsyncIterator[tuple[Peer, RTCPeerConnection]]:
    """Connect a viewer; yield it and the server's end of its connection."""
    server = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    track = video.watch(codec)
    send_shared_video(server, track)
    async with Peer(None) as viewer:
        await server.setRemoteDescription(await viewer.offer())
        await server.setLocalDescription()
        await viewer.accept(server.localDescription)
        yield viewer, server
    await server.close()
    track.stop()


async def test_two_viewers_receive_the_same_frames_each_encoded_once(
    pool: ThreadPoolExecutor, loopback: MediaAddresses
) -> None:
    source = ShadedSource()
    async with sharing(pool, source) as video, watching(video) as (one, _):
        await one.until(lambda: len(one.frames) > 5)
        async with watching(video) as (two, _):
            await two.until(lambda: len(two.frames) > 20)
            assert video.viewers == 2
            assert video.encoded <= source.returned

        # The same packets, so the same pixels at the same distances from the first match.
        seen = [picture.to_ndarray() for picture in one.frames[-60:]]
        first = two.frames[0].to_ndarray()
        at = next(index for index, array in enumerate(seen) if np.array_equal(array, first))
        matched = list(zip(seen[at:], two.frames, strict=False))
        assert len(matched) > 10
        assert all(np.array_equal(one_, two_.to_ndarray()) for one_, two_ in matched)


async def test_a_late_viewer_starts_with_a_key_frame_at_once(pool: ThreadPoolExecutor) -> None:
    async with sharing(pool, ShadedSource()) as video:
        early = video.watch()
        await take(early, 20)
        reading = asyncio.create_task(take(early, 40))
        started = time.monotonic()
        late = await take(video.watch(), 3)

        assert time.monotonic() - started < 1
        assert [packet.is_keyframe for packet in late] == [True, False, False]
        assert len(decoded(late)) == 3
        assert sum(packet.is_keyframe for packet in await reading) == 1


async def test_viewers_who_join_together_share_a_key_frame(pool: ThreadPoolExecutor) -> None:
    async with sharing(pool, ShadedSource()) as video:
        await take(video.watch(), 20)
        before = video.key_frames
        firsts = []
        for _ in range(6):
            firsts += await take(video.watch(), 1)
            await asyncio.sleep(0.01)

        assert all(packet.is_keyframe for packet in firsts)
        assert video.key_frames - before == 1


async def test_a_late_viewer_of_a_source_at_a_standstill_receives_its_last_frame(
    pool: ThreadPoolExecutor,
) -> None:
    source = ShadedSource()
    async with sharing(pool, source) as video:
        await take(video.watch(), 20)
        source.may_return.clear()
        await asyncio.sleep(0.3)
        late = await take(video.watch(), 1)

        assert late[0].is_keyframe
        assert video.encoded == source.returned + 1


async def test_repeated_key_frame_requests_cause_few_key_frames(
    pool: ThreadPoolExecutor, loopback: MediaAddresses
) -> None:
    async with sharing(pool, ShadedSource()) as video, watching(video) as (viewer, _):
        await viewer.until(lambda: len(viewer.frames) > 5)
        receiver = viewer.connection.getReceivers()[0]
        before, started = video.key_frames, time.monotonic()
        while time.monotonic() - started < 1.5:
            for source in receiver.getSynchronizationSources():
                await receiver._send_rtcp_pli(source.source)
            await asyncio.sleep(0.02)

        assert 1 <= video.key_frames - before <= 2


async def test_a_viewer_that_does_not_read_loses_only_its_own_packets(
    pool: ThreadPoolExecutor,
) -> None:
    async with sharing(pool, ShadedSource(rate=200)) as video:
        slow, fast = video.watch(), video.watch()
        await take(slow, 2)
        seen = await take(fast, 3 * QUEUE_SIZE)
        dropped, encoded = video.dropped, video.encoded

        assert QUEUE_SIZE <= dropped == slow.dropped <= encoded
        assert fast.dropped == 0
        timestamps = [packet.pts or 0 for packet in seen]
        assert timestamps == sorted(timestamps)
        reading = asyncio.create_task(take(fast, 2 * QUEUE_SIZE))
        again = await take(slow, QUEUE_SIZE)
        while not again[0].is_keyframe:
            again.pop(0)
        assert len(decoded(again)) == len(again)
        await reading
        slow.stop()
        assert video.dropped >= dropped


async def test_timestamps_follow_the_servers_clock_not_the_sources(
    pool: ThreadPoolExecutor,
) -> None:
    async with sharing(pool, ShadedSource(rate=50)) as video:
        started = time.monotonic()
        packets = await take(video.watch(), 30)
        took = time.monotonic() - started

    timestamps = [packet.pts or 0 for packet in packets]
    assert all(later > earlier for earlier, later in pairwise(timestamps))
    assert packets[0].time_base == Fraction(1, CLOCK_RATE)
    assert 0.5 * took < (timestamps[-1] - timestamps[0]) / CLOCK_RATE < 1.5 * took


async def test_a_source_may_change_its_size(pool: ThreadPoolExecutor) -> None:
    source = ShadedSource()
    async with sharing(pool, source) as video:
        track = video.watch()
        packets = await take(track, 5)
        source.size = 321, 181
        packets += await take(track, 5)

    frames = decoded(packets)
    assert (frames[0].width, frames[0].height) == (WIDTH, HEIGHT)
    assert (frames[-1].width, frames[-1].height) == (321, 181)


async def test_a_frame_that_cannot_be_drawn_does_not_end_the_video(
    pool: ThreadPoolExecutor, caplog: pytest.LogCaptureFixture
) -> None:
    source = ShadedSource()
    async with sharing(pool, source) as video:
        track = video.watch()
        await take(track, 3)
        source.error = RuntimeError("drawing failed")
        await until(lambda: video.failed == 2)
        source.error = None
        packets = await take(track, QUEUE_SIZE)

    assert len(decoded([packet for packet in packets if packet.is_keyframe])) == 1
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


async def test_nothing_is_read_without_a_viewer(pool: ThreadPoolExecutor) -> None:
    source = ShadedSource()
    async with sharing(pool, source) as video:
        offered = video.watch()
        await asyncio.sleep(0.1)
        assert (source.returned, video.viewers) == (0, 1)
        await take(offered, 3)
        offered.stop()
        assert video.viewers == 0
        await asyncio.sleep(0.3)
        seen = source.returned
        await asyncio.sleep(0.2)
        assert source.returned == seen
        assert (await take(video.watch(), 1))[0].is_keyframe


async def test_the_end_of_the_source_ends_all_tracks(pool: ThreadPoolExecutor) -> None:
    source = ShadedSource()
    async with sharing(pool, source) as video:
        track = video.watch()
        await take(track, 1)
        source.error = MediaStreamError()
        with pytest.raises(MediaStreamError):
            await take(track, 100)
        assert video.viewers == 0


async def test_nothing_is_left_after_close(pool: ThreadPoolExecutor) -> None:
    tasks = asyncio.all_tasks()
    video = SharedVideo(ShadedSource(), pool)
    tracks = [video.watch() for _ in range(3)]
    reading = [asyncio.create_task(take(track, 1000)) for track in tracks]
    await until(lambda: video.encoded > 3)
    await video.close()
    await video.close()

    ended = await asyncio.gather(*reading, return_exceptions=True)
    assert {type(problem) for problem in ended} == {MediaStreamError}
    with pytest.raises(MediaStreamError):
        await video.watch().recv()
    assert (video.viewers, asyncio.all_tasks()) == (0, tasks)
    gone = [weakref.ref(track) for track in tracks]
    del tracks, reading, ended
    await asyncio.sleep(0)
    gc.collect()
    assert not any(track() for track in gone)


@pytest.mark.parametrize("codec", SharedCodec)
async def test_only_the_codec_of_the_track_is_negotiated(
    codec: SharedCodec, pool: ThreadPoolExecutor, loopback: MediaAddresses
) -> None:
    async with sharing(pool, ShadedSource()) as video, watching(video, codec) as (_, server):
        answer = server.localDescription.sdp
    assert set(re.findall(r"a=rtpmap:\d+ (\w+)/90000", answer)) == {codec, "rtx"}


async def test_h264_is_encoded_once_and_only_while_it_is_watched(
    pool: ThreadPoolExecutor, loopback: MediaAddresses
) -> None:
    source = ShadedSource()
    async with sharing(pool, source) as video, watching(video) as (one, _):
        await one.until(lambda: len(one.frames) > 5)
        assert video.encoded <= source.returned
        async with (
            watching(video, SharedCodec.H264) as (two, _),
            watching(video, SharedCodec.H264) as (three, _),
        ):
            before, returned = video.encoded, source.returned
            await two.until(lambda: len(two.frames) > 20 and len(three.frames) > 20)
            encoded, returned = video.encoded - before, source.returned - returned
            assert returned < encoded <= 2 * returned + 2
        frame = two.frames[-1]
        assert (frame.width, frame.height) == (WIDTH, HEIGHT)
        # It shows what the source returned: grey, brighter from frame to frame.
        shades = [np.median(each.to_ndarray(format="gray")) for each in two.frames]
        assert 20 < min(shades) < max(shades) < 240

        before, returned = video.encoded, source.returned
        await one.until(lambda: source.returned > returned + 20)
        # Twice as many, if H.264 were still encoded; a few were on their way.
        assert video.encoded - before < 1.5 * (source.returned - returned)


async def test_each_codec_has_key_frames_of_its_own(pool: ThreadPoolExecutor) -> None:
    async with sharing(pool, ShadedSource()) as video:
        vp8, h264 = video.watch(), video.watch(SharedCodec.H264)
        await asyncio.gather(take(vp8, 20), take(h264, 20))
        before = video.key_frames
        packets, late = await asyncio.gather(take(vp8, 30), take(video.watch(SharedCodec.H264), 30))

        assert [packet.is_keyframe for packet in late] == [True] + [False] * 29
        assert len(decoded(late, "h264")) == 30
        assert not any(packet.is_keyframe for packet in packets)
        assert video.key_frames == before + 1


@pytest.mark.parametrize(
    ("size", "expected"), [((321, 181), (320, 180)), ((1920, 1080), (1280, 720))]
)
async def test_h264_has_even_sides_within_its_level(
    size: tuple[int, int], expected: tuple[int, int], pool: ThreadPoolExecutor
) -> None:
    source = ShadedSource()
    source.size = size
    async with sharing(pool, source) as video:
        packets = await take(video.watch(SharedCodec.H264), 3)

    frame = decoded(packets, "h264")[-1]
    assert (frame.width, frame.height) == expected
    # Profile 66 with constraint_set1 (Constrained Baseline), and the level (H.264, 7.4.2.1).
    profile, constraints, level = bytes(packets[0]).partition(b"\x67")[2][:3]
    assert (profile, constraints & 0x40) == (66, 0x40)
    assert level <= 31


async def test_a_codec_that_fails_does_not_affect_the_other(
    pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise av.error.ExternalError(1, "no encoder")

    monkeypatch.setitem(_ENCODERS, SharedCodec.H264, (fail, lambda *size: size))
    async with sharing(pool, ShadedSource()) as video:
        h264 = asyncio.create_task(video.watch(SharedCodec.H264).recv())
        await take(video.watch(), 40)
        assert video.failed >= 1
        assert not h264.done()
        h264.cancel()
