"""Datagrams of media: all that have arrived are read at once, and told apart by their first byte.

asyncio reads one datagram of a socket per turn of the event loop, and aioice looks for a STUN
message in each. A frame of video arrives as a burst of datagrams that are none.
"""

import asyncio
import socket
from typing import Any, cast

from aioice.ice import StunProtocol

MAX_DATAGRAM_BYTES = 1500
"""What a peer may send at once, as on any Ethernet. pylibsrtp refuses more by a `ValueError`, with
which aiortc ends the connection, whoever sent the datagram."""

_MAX_BURST = 64
"""Datagrams read at once at most, so that other sockets get their turn."""

_STUN = range(4)
"""First bytes of STUN messages (RFC 7983, section 7)."""


class DatagramReader(asyncio.DatagramProtocol):
    """Reads a socket for aioice: STUN goes to its protocol, the rest straight to its connection.

    Datagrams that are empty or too long are dropped: aiortc would end the connection, although
    anyone can send them.
    """

    def __init__(self, protocol: StunProtocol, opened: socket.socket) -> None:
        """Read a socket, which must not block, for a protocol of aioice."""
        self._protocol, self._socket = protocol, opened
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Pass on the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)
        if hasattr(transport, "max_size"):
            # asyncio allocates that for each datagram, 256 KB by default.
            transport.max_size = MAX_DATAGRAM_BYTES + 1
        self._protocol.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on the end."""
        self._transport = None
        self._protocol.connection_lost(exc)

    def error_received(self, exc: Exception) -> None:
        """Pass on an error."""
        self._protocol.error_received(exc)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """Pass on a datagram, and those that have arrived after it."""
        self._deliver(data, addr)
        receive, transport = self._socket.recvfrom, self._transport
        for _ in range(_MAX_BURST - 1):
            if transport is None or transport.is_closing():
                return
            try:
                data, addr = receive(MAX_DATAGRAM_BYTES + 1)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as problem:
                self._protocol.error_received(problem)
                return
            self._deliver(data, addr)

    def _deliver(self, data: bytes, addr: tuple[Any, ...]) -> None:
        if not 0 < len(data) <= MAX_DATAGRAM_BYTES:
            return
        if data[0] in _STUN:
            self._protocol.datagram_received(data, addr)
        else:
            component = self._protocol.local_candidate.component
            self._protocol.receiver.data_received(data, component)
