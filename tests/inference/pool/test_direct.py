"""Replicas that clients reach without a proxy, over real sockets; the proxy is a caption server."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.captioning import FrameRequest
from inference.engine import EngineState, EngineUnavailable
from inference.pool import CaptionServer, PoolCaptioner, ReplicaAddress
from inference.pool.directory import MAX_LISTED, LiveReplicas, loopback_network
from tests.inference.pool.conftest import pool_of
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.pool.held_captions import HeldCaptions, until

IMAGE = np.zeros((8, 8, 3), np.uint8)
SECRET = "plugh-0123456789abc"
HERE = loopback_network()


class Pool:
    """A proxy on a Unix socket, and replicas on TCP ports, that all list the same replicas."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.proxy = HeldCaptions()
        self.proxy.finish.set()
        self.listed: list[ReplicaAddress] = []
        self.servers: dict[str, CaptionServer] = {}
        self.proxy_server = self._server(self.proxy, "behind the proxy")

    def _server(self, service: Any, name: str) -> CaptionServer:
        return CaptionServer(service, replica=name, secret=SECRET, replicas=lambda: self.listed)

    async def add(self, name: str, *, answers: bool = True) -> HeldCaptions:
        """Add a replica, and list it."""
        service = HeldCaptions()
        if answers:
            service.finish.set()
        self.servers[name] = self._server(service, name)
        port = await self.servers[name].listen("127.0.0.1")
        self.listed = [*self.listed, ReplicaAddress(name, "127.0.0.1", port, HERE)]
        return service

    def remove(self, name: str) -> None:
        """Take a replica off the list."""
        self.listed = [each for each in self.listed if each.name != name]

    @asynccontextmanager
    async def client(self, **options: Any) -> AsyncIterator[PoolCaptioner]:
        """A client that has heard of the listed replicas."""
        async with pool_of(self.socket, secret=SECRET, **options) as pool:
            await pool.wait_ready()
            # Each is asked for its state before it gets a request.
            await asyncio.sleep(0.3)
            yield pool


@pytest.fixture
async def pool(socket: Path) -> AsyncIterator[Pool]:
    pool = Pool(socket)
    await pool.proxy_server.listen_unix(socket)
    yield pool
    for server in (pool.proxy_server, *pool.servers.values()):
        await server.close()


async def replica_for(client: PoolCaptioner) -> str:
    caption, _ = await client.caption_frame(FrameRequest(IMAGE))
    return caption.timing_ms.replica


def start(client: PoolCaptioner, count: int) -> list["asyncio.Task[str]"]:
    return [asyncio.create_task(replica_for(client)) for _ in range(count)]


async def test_frames_and_jobs_go_straight_to_the_listed_replicas(pool: Pool) -> None:
    replicas = [await pool.add("one"), await pool.add("two")]
    async with pool.client() as client:
        found = [await replica_for(client) for _ in range(30)]
        await client.check(IMAGE, (3, 4), "gradcam", 0)
        routes = dict(client.replicas.routes)

    # At random, as none is busier.
    assert set(found) == {"one", "two"}
    assert (routes["direct"], routes["proxy"]) == (31, 0)
    assert pool.proxy.begun == 0
    assert sum(each.begun for each in replicas) == 30


async def test_without_direct_all_go_through_the_proxy(pool: Pool) -> None:
    replica = await pool.add("one")
    async with pool.client(direct=False) as client:
        assert await replica_for(client) == "behind the proxy"
    assert replica.begun == 0


async def test_the_least_busy_replica_is_chosen_whoever_keeps_it_busy(pool: Pool) -> None:
    one, two = await pool.add("one", answers=False), await pool.add("two", answers=False)
    to_one = pool_of(pool.listed[0].url, secret=SECRET, direct=False)
    async with pool.client() as client, to_one as other:
        await other.wait_ready()
        own = start(client, 6)
        await until(lambda: one.begun + two.begun == 6)
        assert one.begun == two.begun == 3
        others = start(other, 4)
        await until(lambda: one.begun == 7)
        # Until the client has asked again.
        await asyncio.sleep(0.3)
        more = start(client, 4)
        await until(lambda: two.begun == 7)
        one.finish.set()
        two.finish.set()
        await asyncio.gather(*own, *others, *more)


async def test_a_replica_out_of_reach_is_reached_through_the_proxy(pool: Pool) -> None:
    await pool.add("one")
    await pool.servers["one"].close()
    async with pool.client() as client:
        assert await replica_for(client) == "behind the proxy"
        assert client.state is EngineState.READY

        # One that can be reached does not take the share of the other.
        two = await pool.add("two", answers=False)
        await asyncio.sleep(0.3)
        requests = start(client, 6)
        await until(lambda: two.begun + pool.proxy.begun == 7)
        assert two.begun > 0 and pool.proxy.begun > 1
        two.finish.set()
        await asyncio.gather(*requests)


async def test_the_requests_of_a_lost_replica_are_answered_by_another(pool: Pool) -> None:
    lost, _ = await pool.add("lost", answers=False), await pool.add("other")
    async with pool.client() as client:
        requests = start(client, 6)
        await until(lambda: lost.begun)
        await pool.servers["lost"].close()
        assert set(await asyncio.gather(*requests)) == {"other"}
        # It is still listed, as Serve takes a second to notice.
        assert {await replica_for(client) for _ in range(20)} == {"other"}
        assert client.replicas.failures["repeated"] == lost.begun
        assert pool.proxy.begun == 0


async def test_a_replica_off_the_list_answers_what_it_has_and_gets_no_more(pool: Pool) -> None:
    await pool.add("one")
    async with pool.client() as client:
        leaving = await pool.add("leaving", answers=False)
        await asyncio.sleep(0.3)
        requests = start(client, 8)
        await until(lambda: leaving.begun)
        pool.remove("leaving")
        await asyncio.sleep(0.3)
        begun = leaving.begun
        assert {await replica_for(client) for _ in range(20)} == {"one"}
        leaving.finish.set()
        assert "leaving" in await asyncio.gather(*requests)
        assert leaving.begun == begun
        assert client.replicas.failures["repeated"] == 0


async def test_replicas_are_found_and_answer_without_any_proxy(pool: Pool) -> None:
    await pool.add("one")
    async with pool.client() as client:
        await pool.proxy_server.close()
        assert await replica_for(client) == "one"
        await pool.add("two")
        await asyncio.sleep(0.3)
        assert {await replica_for(client) for _ in range(30)} == {"one", "two"}
        assert client.state is EngineState.READY


async def test_a_draining_replica_answers_what_it_has_and_refuses_more(pool: Pool) -> None:
    draining = await pool.add("draining", answers=False)
    async with pool.client() as client:
        request = asyncio.create_task(replica_for(client))
        await until(lambda: draining.begun)
        drain = asyncio.create_task(pool.servers["draining"].drain(5))
        await asyncio.sleep(0.05)
        assert await replica_for(client) == "behind the proxy"
        assert not drain.done()
        draining.finish.set()
        assert await request == "draining"
        await drain


async def test_a_full_replica_is_avoided(pool: Pool) -> None:
    full = HeldCaptions()
    server = CaptionServer(
        full, replica="full", secret=SECRET, replicas=lambda: pool.listed, max_requests=2
    )
    pool.servers["full"] = server
    pool.listed = [ReplicaAddress("full", "127.0.0.1", await server.listen("127.0.0.1"), HERE)]
    async with pool.client() as client:
        requests = start(client, 3)
        done, waiting = await asyncio.wait(requests, return_when=asyncio.FIRST_COMPLETED)
        assert {each.result() for each in done} == {"behind the proxy"}
        full.finish.set()
        assert [await each for each in waiting] == ["full", "full"]


async def test_another_replica_at_the_port_of_a_lost_one_is_not_taken_for_it(pool: Pool) -> None:
    await pool.add("one")
    pool.listed = [dataclasses.replace(pool.listed[0], name="one before it")]
    async with pool.client() as client:
        assert await replica_for(client) == "behind the proxy"


async def test_frames_stay_on_the_machine_unless_they_may_leave_it(pool: Pool) -> None:
    here = ReplicaAddress("here", "127.0.0.1", 1, HERE)
    own_address = ReplicaAddress("here", "10.0.0.1", 1, HERE)
    loopback_elsewhere = ReplicaAddress("elsewhere", "127.0.0.1", 1, "another machine")
    elsewhere = ReplicaAddress("elsewhere", "10.0.0.1", 1, "another machine")
    addresses = (here, own_address, loopback_elsewhere, elsewhere)

    assert [each.is_allowed(insecure=False) for each in addresses] == [True, True, False, False]
    assert [each.is_allowed(insecure=True) for each in addresses] == [True, True, False, True]

    # No connection is made, not even to ask.
    replica = await pool.add("one")
    pool.listed = [dataclasses.replace(pool.listed[0], network="another machine")]
    async with pool.client(insecure=True) as client:
        assert await replica_for(client) == "behind the proxy"
    assert replica.begun == 0


async def test_a_client_of_replicas_presents_the_secret(pool: Pool) -> None:
    await pool.add("one")
    (address,) = pool.listed
    async with pool_of(address.url, secret="xyzzy") as client:
        with pytest.raises(EngineUnavailable, match="secret of the pool"):
            await client.wait_loaded()


async def test_a_server_takes_the_first_free_port() -> None:
    servers = [CaptionServer(ScriptedCaptions(confident_caption("A"))) for _ in range(3)]
    try:
        first = await servers[0].listen("127.0.0.1")
        second = await servers[1].listen("127.0.0.1", range(first, first + 20))
        assert first < second < first + 20
        with pytest.raises(OSError, match="in use"):
            await servers[2].listen("127.0.0.1", [first, second])
    finally:
        for server in servers:
            await server.close()


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=200) | st.lists(st.integers())


@given(st.dictionaries(st.sampled_from(["name", "host", "port", "network"]), JSON) | JSON)
def test_other_addresses_of_replicas_are_refused(values: Any) -> None:
    with pytest.raises(ValueError, match=r"address|name|lacks"):
        ReplicaAddress.from_json(values)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "224.0.0.1", "pool.example", "127.0.0.1/x", ""])
def test_hosts_that_are_no_address_of_a_machine_are_refused(host: str) -> None:
    values = ReplicaAddress("one", "127.0.0.1", 1, HERE).to_json()
    assert ReplicaAddress.from_json(values).url == "http://127.0.0.1:1"
    assert ReplicaAddress.from_json({**values, "host": "fd00::1"}).url == "http://[fd00::1]:1"
    with pytest.raises(ValueError, match="address"):
        ReplicaAddress.from_json({**values, "host": host})


def test_the_list_is_bounded_and_leaves_out_replicas_without_a_port() -> None:
    live = LiveReplicas()
    address = ReplicaAddress("one", "127.0.0.1", 1, HERE).to_json()
    live.set([{}, *({**address, "port": port} for port in range(1, 1000))])
    assert [each.port for each in live.list()] == list(range(1, MAX_LISTED + 1))
