"""UDP sockets of media: within a range of ports, and closed to other machines if they have to be.

aioice 0.13 has no setting for either: it binds each socket to port 0. Its `asyncio` module is
patched, so that it gets sockets that are bound here.
"""

import asyncio
import ctypes
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import aioice.ice
from aioice.ice import StunProtocol

from stream.ice.datagrams import DatagramReader
from stream.settings import is_loopback

_ANY_PORT = range(1)

_SO_ATTACH_FILTER = 26
_LOOPBACK_INTERFACE = "lo"
_FROM_THIS_MACHINE = (
    # Load the index of the interface that the packet arrived at: SKF_AD_OFF + SKF_AD_IFINDEX.
    (0x20, 0, 0, 0xFFFFF000 + 8),
    # Skip an instruction unless it is that of the loopback interface, which is filled in.
    (0x15, 0, 1, None),
    # Accept the packet, or drop it.
    (0x06, 0, 0, 0xFFFFFFFF),
    (0x06, 0, 0, 0),
)
"""A socket filter (the kernel's Documentation/networking/filter.rst): opcode, jumps if true and
false, operand. Packets between two addresses of one machine arrive at its loopback interface."""


class MediaSockets:
    """Makes aioice use sockets that are opened here, for the whole process, until `release`."""

    def __init__(self, ports: range | None = None, *, only_this_machine: bool = False) -> None:
        """Patch aioice.

        Args:
            ports: The ports to use; any free port if None.
            only_this_machine: Whether sockets at all addresses receive from this machine only.
        """
        self._ports = ports or _ANY_PORT
        self._only_this_machine = only_this_machine
        self._next: Counter[str] = Counter()
        vars(aioice.ice)["asyncio"] = _PatchedAsyncio(self)

    def release(self) -> None:
        """Undo the patch."""
        vars(aioice.ice)["asyncio"] = asyncio

    def open(self, address: str) -> socket.socket:
        """Open a socket at the next free port of an address, round-robin.

        Raises:
            OSError: If no port is free, or other machines cannot be kept out.
        """
        problem: OSError | None = None
        for _ in self._ports:
            port = self._ports[self._next[address] % len(self._ports)]
            self._next[address] += 1
            try:
                return self._open(address, port)
            except OSError as error:
                problem = error
        raise OSError(f"no port is free at {address}") from problem

    def _open(self, address: str, port: int) -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_DGRAM)
        try:
            # The loopback addresses are closed to other machines by themselves.
            if self._only_this_machine and not is_loopback(address):
                _drop_packets_of_other_machines(opened)
            opened.bind((address, port))
        except OSError:
            opened.close()
            raise
        return opened


def _drop_packets_of_other_machines(opened: socket.socket) -> None:
    """Drop packets from other machines in the kernel, also those with a forged source address.

    Raises:
        OSError: If the system cannot do that.
    """
    if sys.platform != "linux":
        raise OSError("packets of other machines can be dropped on Linux only")
    loopback = socket.if_nametoindex(_LOOPBACK_INTERFACE)
    program = ctypes.create_string_buffer(
        b"".join(
            struct.pack("=HBBI", code, if_true, if_false, loopback if operand is None else operand)
            for code, if_true, if_false, operand in _FROM_THIS_MACHINE
        )
    )
    # `struct sock_fprog`: the number of instructions, and their address.
    description = struct.pack("@HP", len(_FROM_THIS_MACHINE), ctypes.addressof(program))
    opened.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, description)


class _PatchedAsyncio:
    """The asyncio module, except for the running loop."""

    def __init__(self, sockets: MediaSockets) -> None:
        self._sockets = sockets

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def get_running_loop(self) -> "_PatchedLoop":
        return _PatchedLoop(asyncio.get_running_loop(), self._sockets)


class _PatchedLoop:
    """An event loop, except that datagram sockets are opened and read here."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sockets: MediaSockets) -> None:
        self._loop, self._sockets = loop, sockets

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_datagram_endpoint(
        self, protocol: Callable[[], StunProtocol], local_addr: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, StunProtocol]:
        opened, stun_protocol = self._sockets.open(local_addr[0]), protocol()
        transport, _ = await self._loop.create_datagram_endpoint(
            lambda: DatagramReader(stun_protocol, opened), sock=opened
        )
        return transport, stun_protocol
