"""Two servers of a cluster in one process, with a real database."""

import asyncio
import json
import time
from collections import defaultdict

from stream.captioned_stream import SignalState
from stream.cluster import membership
from stream.cluster.connection import DatabaseConnection
from stream.publishing.published_stream import RemoteStream
from tests.support.postgres import PostgresServer
from tests.support.servers.bare_member import BareMember
from tests.support.servers.cluster_apps import ClusterServer, ClusterServers, eventually

FEEDS = ("door", "hall", "yard")


def holder_of(name: str, *servers: ClusterServer) -> ClusterServer:
    (holder,) = (each for each in servers if name in each.feeds)
    return holder


def cut(*connections: DatabaseConnection) -> None:
    """Cut connections to the database, until they are mended."""
    for each in connections:
        each._url = "postgresql://127.0.0.1:1/none"
        each.reset()


def mend(database_url: str, *connections: DatabaseConnection) -> None:
    """Let connections be opened again."""
    for each in connections:
        each._url = database_url


def check_deliveries(*servers: ClusterServer) -> None:
    """Check that each server has published each caption once, and those of a feed in order."""
    for server in servers:
        ids = [event.id for event in server.captions]
        assert len(set(ids)) == len(ids)
        captured = defaultdict(list)
        for event in server.captions:
            captured[event.stream].append(event.captured)
        assert all(times == sorted(times) for times in captured.values())


async def test_servers_share_the_feeds_and_see_all_captions(database_url: str) -> None:
    async with ClusterServers(database_url, FEEDS) as servers:
        one = await servers.start()
        await eventually(lambda: one.feeds == set(FEEDS) and len(one.own) > 2)
        two = await servers.start()
        await eventually(lambda: len(two.feeds) == 1)
        (moved,) = two.feeds
        await eventually(lambda: len(two.own) > 4)
        # They stay where they are.
        await asyncio.sleep(2 * membership.HEARTBEAT_S)
        assert two.feeds == {moved}
        assert one.feeds == set(FEEDS) - {moved}
        sent = {event.id for _, event in two.own[:-2]}
        await eventually(lambda: sent <= {event.id for event in one.captions})
        since = one.own[-1][1].id
        await eventually(lambda: since in {event.id for event in two.captions})
        stream = one.publications.find(moved)

        assert isinstance(stream, RemoteStream)
        assert stream.url == two.url
        assert stream.signal.state is SignalState.LIVE
        assert stream.latest_caption
        assert 0 <= stream.latest_caption.age_ms() < 2000
        check_deliveries(one, two)


async def test_a_server_that_stops_hands_its_feeds_over_at_once(database_url: str) -> None:
    async with ClusterServers(database_url, FEEDS) as servers:
        one = await servers.start()
        await eventually(lambda: len(one.own) > 2)
        two = await servers.start()
        await eventually(lambda: len(two.captions) > 9)
        await servers.stop(one)
        await eventually(lambda: two.feeds == set(FEEDS), within_s=1)
        await eventually(lambda: {event.stream for _, event in two.own} == set(FEEDS))

        check_deliveries(two)
        # Nothing that was written is missing: the second has read it before it went on.
        first = {event.stream: event.captured for event in reversed(two.captions)}
        sent = {e.id for _, e in one.own if e.captured > first[e.stream]}
        assert len(sent) >= len(FEEDS)
        assert sent <= {event.id for event in two.captions}


async def test_a_server_that_cannot_renew_its_leases_stops_before_another_starts(
    postgres: PostgresServer, database_url: str
) -> None:
    async with ClusterServers(database_url) as servers:
        one = await servers.start()
        await eventually(lambda: one.own)
        two = await servers.start()
        await eventually(lambda: two.captions)
        # It believes that it is a member, and hears nothing.
        cut(one.cluster.connection, one.cluster.reading)
        await eventually(lambda: two.own, within_s=10)
        last_of_one, first_of_two = one.own[-1][0], two.own[0][0]

        assert first_of_two > last_of_one
        assert first_of_two - last_of_one < 10
        assert one.feeds == set()
        assert one.publications.find("yard").signal.state is SignalState.LOST
        mend(database_url, one.cluster.connection, one.cluster.reading)
        count = len(one.captions)
        await eventually(lambda: len(one.captions) > count + 2)
        check_deliveries(one, two)
        # What it missed meanwhile it has read from the log.
        written = {event.id for _, event in two.own[:-2]}
        await eventually(lambda: written <= {event.id for event in one.captions})


async def test_everything_returns_after_the_database_was_killed(
    postgres: PostgresServer, database_url: str
) -> None:
    async with ClusterServers(database_url, FEEDS) as servers:
        one, two = await servers.start(), await servers.start()
        await eventually(lambda: one.feeds | two.feeds == set(FEEDS) and one.own and two.own)
        held, since = (one.feeds, two.feeds), time.time()
        postgres.kill()
        try:
            await eventually(lambda: not one.feeds and not two.feeds)
            await asyncio.sleep(1)
            paused = len(one.own), len(two.own)
            await asyncio.sleep(1)
            assert (len(one.own), len(two.own)) == paused
        finally:
            await asyncio.to_thread(postgres.start)
        await eventually(lambda: len(one.own) > paused[0] + 2 and len(two.own) > paused[1] + 2)

        assert (one.feeds, two.feeds) == held
        own = [event for server in (one, two) for _, event in server.own[:-2]]
        written = {event.id for event in own if event.captured > since}
        await eventually(lambda: written <= {event.id for event in one.captions})
        await eventually(lambda: written <= {event.id for event in two.captions})
        check_deliveries(one, two)


async def test_a_feed_goes_on_only_after_what_was_missed(database_url: str) -> None:
    async with ClusterServers(database_url) as servers:
        one = await servers.start()
        await eventually(lambda: one.own)
        two = await servers.start()
        await eventually(lambda: two.captions)
        cut(one.cluster.connection, one.cluster.reading)
        await eventually(lambda: len(two.own) > 3)
        mend(database_url, one.cluster.connection)
        await servers.stop(two)
        await eventually(lambda: one.feeds)
        await asyncio.sleep(1)
        mend(database_url, one.cluster.reading)
        count = len(one.own)
        await eventually(lambda: len(one.own) > count)

        check_deliveries(one)
        assert {event.id for _, event in two.own} <= {event.id for event in one.captions}


async def test_a_reader_gets_all_that_its_server_had_missed(database_url: str) -> None:
    another = BareMember(database_url, "another", "street")
    async with another as member, ClusterServers(database_url) as servers:
        one = await servers.start()
        await member.beat()
        await member.write("Frame 0")
        await eventually(lambda: any(event.stream == "street" for event in one.captions))
        response = await one.client.get("/api/events")
        cut(one.cluster.reading)
        await member.write(*(f"Frame {number}" for number in range(1, 300)))
        mend(database_url, one.cluster.reading)
        texts = list[str]()
        async with asyncio.timeout(10):
            while "Frame 299" not in texts[-1:]:
                line = await response.content.readline()
                assert b"event: missed" not in line
                if line.startswith(b"data: ") and b'"feed": "street", "said"' in line:
                    texts.append(json.loads(line[6:])["text"])
        response.close()

    assert texts[-299:] == [f"Frame {number}" for number in range(1, 300)]
    assert len(texts) <= 300
