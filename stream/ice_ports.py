"""The UDP ports that media takes: any, or those of a range that a firewall lets in.

aioice 0.13 binds its host candidates to port 0 and has no setting for it. It asks its loop for the
socket, so that here stands what it takes for asyncio.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import aioice.ice


class PortRange:
    """Gives aioice ports of a range, for the whole process, until `release`."""

    def __init__(self, ports: range) -> None:
        """Give these."""
        self._ports, self._next = ports, 0
        vars(aioice.ice)["asyncio"] = _Asyncio(self)

    def __str__(self) -> str:
        return f"{self._ports.start}-{self._ports.stop - 1}"

    def release(self) -> None:
        """Let aioice bind to any port again."""
        vars(aioice.ice)["asyncio"] = asyncio

    async def bind(
        self, loop: asyncio.AbstractEventLoop, protocol: Callable[[], Any], address: str
    ) -> tuple[asyncio.DatagramTransport, Any]:
        """Open a socket at the first port that is free, after the one that was given last.

        Raises:
            OSError: If there is none.
        """
        for _ in self._ports:
            port = self._ports[self._next]
            self._next = (self._next + 1) % len(self._ports)
            try:
                return await loop.create_datagram_endpoint(protocol, local_addr=(address, port))
            except OSError:
                continue
        raise OSError(f"every port of {self} at {address} is taken")


class _Asyncio:
    """asyncio, but for the loop."""

    def __init__(self, ports: PortRange) -> None:
        self._ports = ports

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    def get_running_loop(self) -> "_Loop":
        return _Loop(asyncio.get_running_loop(), self._ports)


class _Loop:
    """An event loop, but for where it binds sockets for which any port would do."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ports: PortRange) -> None:
        self._loop, self._ports = loop, ports

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_datagram_endpoint(
        self, protocol: Callable[[], Any], local_addr: tuple[str, int]
    ) -> tuple[asyncio.DatagramTransport, Any]:
        return await self._ports.bind(self._loop, protocol, local_addr[0])
