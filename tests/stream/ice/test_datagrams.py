"""Datagrams of media sockets: bursts are read at once, and what is none is dropped."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from aioice import Candidate, Connection

from stream.ice.addresses import MediaAddresses


@dataclass
class Pair:
    """Two connected ends; the first is the server's."""

    server: Connection
    client: Connection

    @property
    def address(self) -> tuple[str, int]:
        """Where the server receives."""
        candidate: Candidate = self.server.local_candidates[0]
        return candidate.host, candidate.port

    async def received(self) -> bytes:
        """Wait for the server's next datagram."""
        return await asyncio.wait_for(self.server.recv(), 5)


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    addresses = MediaAddresses("127.0.0.1")
    ends = Connection(ice_controlling=False), Connection(ice_controlling=True)
    try:
        await asyncio.gather(*(end.gather_candidates() for end in ends))
        for end, other in (ends, ends[::-1]):
            end.remote_username, end.remote_password = other.local_username, other.local_password
            for candidate in other.local_candidates:
                await end.add_remote_candidate(candidate)
            await end.add_remote_candidate(None)
        await asyncio.gather(*(end.connect() for end in ends))
        yield Pair(*ends)
    finally:
        await asyncio.gather(*(end.close() for end in ends))
        addresses.release()


async def test_a_burst_is_read_in_one_turn_and_in_order(pair: Pair) -> None:
    turns: list[int] = []
    taken: list[bytes] = []
    turn = 0

    def receive(data: bytes, component: int) -> None:
        taken.append(data)
        turns.append(turn)

    vars(pair.server)["data_received"] = receive
    sent = [bytes([0x80, number]) for number in range(40)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in sent:
            stranger.sendto(data, pair.address)
    for _ in range(20):
        turn += 1
        await asyncio.sleep(0)
    del vars(pair.server)["data_received"]

    assert taken == sent
    assert len(set(turns)) == 1


async def test_empty_and_oversized_datagrams_are_dropped(pair: Pair) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in (b"", b"\x80" + bytes(1500), b"\x80first", b"", b"\x80" + bytes(60_000)):
            stranger.sendto(data, pair.address)
        stranger.sendto(b"\x80second", pair.address)

    assert await pair.received() == b"\x80first"
    assert await pair.received() == b"\x80second"


async def test_what_only_begins_like_a_connectivity_check_is_passed_on(pair: Pair) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"\x00\x01 no STUN message", pair.address)

    assert await pair.received() == b"\x00\x01 no STUN message"


async def test_the_connection_outlives_the_burst_limit(pair: Pair) -> None:
    sent = [b"\x80" + number.to_bytes(2, "big") for number in range(150)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in sent:
            stranger.sendto(data, pair.address)

    assert [await pair.received() for _ in sent] == sent
    await pair.client.send(b"\x80end")
    assert await pair.received() == b"\x80end"
