"""A network of its own for a coroutine: a loopback and one interface with nobody behind it.

What runs in it has a network, as browsers need, but can reach nothing outside. The test reads and
writes the packets that others in the network would receive and send.
"""

import asyncio
import contextlib
import ctypes
import ipaddress
import os
import socket
import struct
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future

from tests.network.link_endpoint import MTU, open_interface

IPV4, IPV6 = "10.77.0.5", "fd77::5"
"""Addresses of this machine in the network."""
STRANGER_IPV4, STRANGER_IPV6 = "10.77.0.9", "fd77::9"
"""Addresses of another machine in the network."""

_CLONE_NEWNET = 0x40000000
_UDP = socket.IPPROTO_UDP

Endpoint = tuple[str, int]


class PrivateNetwork:
    """The packets outside; see `run_in_private_network`."""

    def __init__(self, interface: int) -> None:
        self._interface = interface

    def connect(self) -> None:
        """Connect this machine, or connect it again."""
        _ip("link set dev link up")
        _ip(f"address replace {IPV6}/64 dev link nodad")
        for family in ("-4", "-6"):
            _ip(f"{family} route replace default dev link")

    def disconnect(self) -> None:
        """Disconnect this machine, which has only its loopback from now on."""
        _ip("link set dev link down")

    def inject(self, source: Endpoint, target: Endpoint, payload: bytes) -> None:
        """Let a UDP packet arrive from outside, whatever its source address says."""
        os.write(self._interface, _udp_packet(source, target, payload))

    def sent(self) -> Iterator[tuple[Endpoint, bytes]]:
        """Return the UDP packets that were sent outside until now: target and payload."""
        with contextlib.suppress(BlockingIOError):
            while True:
                if packet := _parse_udp(os.read(self._interface, MTU + 100)):
                    yield packet


def run_in_private_network(work: Callable[[PrivateNetwork], Awaitable[None]]) -> None:
    """Run a coroutine, and the processes that it starts, in a private network.

    It runs on a thread of its own, because a network namespace belongs to a thread.

    Raises:
        OSError: If the process lacks the permission.
    """
    done: Future[None] = Future()

    def run() -> None:
        try:
            asyncio.run(_run(work))
            done.set_result(None)
        except BaseException as problem:
            done.set_exception(problem)

    thread = threading.Thread(target=run, name="private network")
    thread.start()
    thread.join()
    done.result()


async def _run(work: Callable[[PrivateNetwork], Awaitable[None]]) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, f"no network namespace: {os.strerror(number)}")
    interface = open_interface(IPV4)
    try:
        os.set_blocking(interface, False)
        network = PrivateNetwork(interface)
        network.connect()
        await work(network)
    finally:
        os.close(interface)


def _ip(arguments: str) -> None:
    subprocess.run(["ip", *arguments.split()], check=True)


def _udp_packet(source: Endpoint, target: Endpoint, payload: bytes) -> bytes:
    """Build an IPv4 (RFC 791) or IPv6 packet (RFC 8200) that contains a UDP datagram (RFC 768)."""
    sender, receiver = ipaddress.ip_address(source[0]), ipaddress.ip_address(target[0])
    length = 8 + len(payload)
    udp = struct.pack("!HHHH", source[1], target[1], length, 0)
    pseudo_header = sender.packed + receiver.packed + struct.pack("!LL", length, _UDP)
    checksum = _checksum(pseudo_header + udp + payload) or 0xFFFF
    datagram = udp[:6] + struct.pack("!H", checksum) + payload
    if sender.version == 6:
        head = struct.pack("!LHBB", 6 << 28, length, _UDP, 64)
        return head + sender.packed + receiver.packed + datagram
    head = struct.pack("!BBHHHBB", 0x45, 0, 20 + length, 0, 0, 64, _UDP)
    addresses = sender.packed + receiver.packed
    checksum = _checksum(head + b"\0\0" + addresses)
    return head + struct.pack("!H", checksum) + addresses + datagram


def _parse_udp(packet: bytes) -> tuple[Endpoint, bytes] | None:
    is_ipv6 = packet[0] >> 4 == 6
    if packet[6 if is_ipv6 else 9] != _UDP:
        return None
    address = packet[24:40] if is_ipv6 else packet[16:20]
    datagram = packet[40 if is_ipv6 else 4 * (packet[0] & 15) :]
    (port,) = struct.unpack_from("!H", datagram, 2)
    return (str(ipaddress.ip_address(address)), port), datagram[8:]


def _checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071)."""
    padded = data + b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
