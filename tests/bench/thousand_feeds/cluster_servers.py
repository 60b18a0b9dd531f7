"""Some servers of a cluster, without video: what they lease, write, read and publish is real.

`python -m tests.bench.thousand_feeds.cluster_servers SERVERS FEEDS INTERVAL_S` reads the database's
URL from the environment. It sends the number of feeds that it holds on the request
`{"get": "held"}`, and what its servers did since the last request on `{"get": "figures"}`.
"""

import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from inference.captioning import Caption, Tag, Timing
from inference.explanations import CaptionMaps, Map
from stream.captioning import CaptionEvent
from stream.clock import boottime
from stream.cluster.cluster import Cluster
from stream.feeds import FeedSettings
from stream.publishing import Publications, RemoteStream
from tests.bench.machine import cpu_seconds
from tests.support.captions import confident_caption
from tests.support.child_process import Message, run_until_stopped, send

DATABASE = "SIGHTLINE_BENCH_DATABASE"
_TICKS = 90_000
_TEXT = "A man in a red jacket is riding a bike"
_SIDE = 9
_PICTURES = 16


def _captions() -> list[Caption]:
    """Return captions as large as those of the shipped captioner."""
    chance = np.random.default_rng(0)
    plain = confident_caption(_TEXT, man=0.94, bicycle=0.91)
    words = tuple(
        replace(word, alternatives=word.alternatives * 4, prob=float(chance.random()))
        for word in plain.words
    )

    def heat_map() -> Map:
        return Map(chance.random((_SIDE, _SIDE), np.float32))

    return [
        replace(
            plain,
            words=words,
            tags=(*plain.tags, Tag("wheel", 0.7)),
            timing_ms=Timing(7.0, 12.0, 1.9),
            maps=CaptionMaps("readcam", tuple(heat_map() for _ in words), heat_map()),
        )
        for _ in range(_PICTURES)
    ]


class Server:
    """One server: the part of it that uses the database."""

    def __init__(self, url: str, feeds: Mapping[str, FeedSettings], captions: list[Caption]):
        self._feeds, self._captions = feeds, captions
        self._publications = Publications()
        self._cluster = Cluster(
            url,
            "",
            self._publications,
            self._run_feeds,
            self._read_picture,
            has_sinks=False,
        )
        self._running: dict[str, asyncio.Task[None]] = {}
        self._seqs: Counter[str] = Counter()
        self.published = 0
        self.lags: list[float] = []
        self._publications.captions.subscribe(self._receive)

    @property
    def held(self) -> int:
        """Number of feeds that it captions."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """Captions that the database does not have yet."""
        return self._cluster.writer.waiting + self._cluster.writer.dropped

    async def start(self) -> None:
        """Join the cluster."""
        await self._cluster.start(self._feeds)

    async def stop(self) -> None:
        """Leave the cluster."""
        await self._cluster.close()

    async def _run_feeds(self, feeds: Mapping[str, FeedSettings]) -> None:
        for name in self._running.keys() - feeds.keys():
            self._running.pop(name).cancel()
        for name in feeds.keys() - self._running.keys():
            self._running[name] = asyncio.create_task(self._caption(name, feeds[name]))

    async def _caption(self, name: str, feed: FeedSettings) -> None:
        # Spread over the interval, as cameras are.
        due = time.monotonic() + hash(name) % 1000 / 1000 * feed.interval_s
        while True:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += feed.interval_s
            self._seqs[name] += 1
            now = boottime()
            caption = self._captions[self._seqs[name] % _PICTURES]
            event = CaptionEvent(
                stream=name,
                seq=self._seqs[name],
                caption=caption,
                captured=time.time(),
                captured_boottime=now,
                pts=round(now * _TICKS),
                width=1280,
                height=720,
                prepare_ms=1.0,
                wait_ms=2.0,
                received_boottime=now,
            )
            self.published += 1
            self._publications.captions.publish(event)

    def _receive(self, event: CaptionEvent) -> None:
        if event.stream not in self._running:
            self.lags.append(boottime() - event.pts / _TICKS)

    async def _read_picture(self, stream: RemoteStream) -> bytes:
        raise NotImplementedError


async def run(servers: list[Server]) -> None:
    """Run servers until cancelled."""
    try:
        await asyncio.gather(*(each.start() for each in servers))
        send(started=len(servers))
        await asyncio.Event().wait()
    finally:
        await asyncio.gather(*(each.stop() for each in servers))


def main() -> int:
    """Run the process."""
    count, feed_count, interval_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    settings = FeedSettings.model_validate({"source": "demo", "interval_s": interval_s})
    feeds = {f"camera-{number}": settings for number in range(feed_count)}
    captions = _captions()
    servers = [Server(os.environ[DATABASE], feeds, captions) for _ in range(count)]

    def answer(message: Message) -> None:
        if message["get"] == "held":
            send(held=sum(each.held for each in servers))
            return
        lags = [lag for each in servers for lag in each.lags]
        send(
            published=sum(each.published for each in servers),
            received=len(lags),
            waiting=sum(each.waiting for each in servers),
            lags_s=lags[:: max(1, len(lags) // 5000)],
            cpu_s=cpu_seconds(os.getpid()),
        )
        for each in servers:
            each.published = 0
            each.lags.clear()

    asyncio.run(run_until_stopped(run(servers), answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
