"""Media sockets of a server on the loopback address: open to this machine, closed to others."""

import asyncio
import socket

import pytest
from aioice import Connection, stun

from stream.ice.addresses import MediaAddresses
from tests.network.private_network import (
    IPV4,
    IPV6,
    STRANGER_IPV4,
    STRANGER_IPV6,
    Endpoint,
    PrivateNetwork,
    run_in_private_network,
)

LOCAL, REMOTE, PASSWORD = "local", "remote", "a password of 22 chars".replace(" ", "0")
PORT = 40_000
SOON = 10.0
"""Seconds within which an answer arrives."""
NEVER = 0.3
"""Seconds to wait for what must not arrive; the answers before it arrived at once."""


def check() -> bytes:
    """Return a connectivity check with the right credentials (RFC 8445, section 7.2.4)."""
    request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    request.attributes["USERNAME"] = f"{LOCAL}:{REMOTE}"
    request.attributes["PRIORITY"] = 1
    request.attributes["ICE-CONTROLLING"] = 1
    request.add_message_integrity(PASSWORD.encode())
    return bytes(request)


async def gather(host: str) -> tuple[MediaAddresses, Connection, dict[str, Endpoint]]:
    """Return a connection of a server, and where it receives, by address."""
    addresses = MediaAddresses(host)
    connection = Connection(False, local_username=LOCAL, local_password=PASSWORD)
    await connection.gather_candidates()
    found = {each.host: (each.host, each.port) for each in connection.local_candidates}
    return addresses, connection, found


def open_local(address: str) -> socket.socket:
    """Return a socket of another program on this machine."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.bind((address, PORT))
    return opened


async def is_answered(opened: socket.socket, seconds: float) -> bool:
    """Wait for the response to a check."""
    try:
        received = await asyncio.wait_for(
            asyncio.get_running_loop().sock_recv(opened, 2000), seconds
        )
    except TimeoutError:
        return False
    return stun.parse_message(received).message_class is stun.Class.RESPONSE


async def replies(network: PrivateNetwork, stranger: Endpoint, seconds: float) -> bool:
    """Wait for a packet to another machine."""
    try:
        async with asyncio.timeout(seconds):
            while not any(target == stranger for target, _ in network.sent()):
                await asyncio.sleep(0.01)
    except TimeoutError:
        return False
    return True


async def reaches(network: PrivateNetwork, stranger: Endpoint, target: Endpoint) -> bool:
    """Send checks from another machine until one is answered: a datagram may be lost."""
    for _ in range(round(SOON / NEVER)):
        network.inject(stranger, target, check())
        if await replies(network, stranger, NEVER):
            return True
    return False


@pytest.mark.parametrize(
    ("host", "own", "stranger"),
    [("127.0.0.1", IPV4, STRANGER_IPV4), ("::1", IPV6, STRANGER_IPV6)],
)
def test_on_the_loopback_only_this_machine_is_answered(host: str, own: str, stranger: str) -> None:
    async def work(network: PrivateNetwork) -> None:
        everywhere, connection, targets = await gather("0.0.0.0")
        assert await reaches(network, (stranger, PORT), targets[own]), "the network does not work"
        await connection.close()
        everywhere.release()

        addresses, connection, targets = await gather(host)
        assert set(targets) == {host, IPV4, IPV6}
        with open_local(own) as local:
            local.sendto(check(), targets[own])
            assert await is_answered(local, SOON)
            # A forged source address: the response would be sent to the other program.
            network.inject((own, PORT), targets[own], check())
            assert not await is_answered(local, NEVER)
        network.inject((stranger, PORT), targets[own], check())
        assert not await replies(network, (stranger, PORT), NEVER)
        await connection.close()
        addresses.release()

    run_in_private_network(work)


def test_on_the_loopback_the_machines_own_addresses_are_allowed_too() -> None:
    async def work(network: PrivateNetwork) -> None:
        addresses = MediaAddresses("127.0.0.1")
        sent_to = [IPV4, IPV6, "fd77:0:0::0005", "127.0.0.1", STRANGER_IPV4, STRANGER_IPV6]
        assert [addresses.allows(each) for each in sent_to] == [True] * 4 + [False] * 2
        addresses.release()

    run_in_private_network(work)
