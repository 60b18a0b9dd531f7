"""A network link that loses packets at random, or all of them.

It connects two network namespaces: this process reads packets from the interface of one and writes
them to the other's. The machine's own network is not affected.
"""

import asyncio
import contextlib
import os
import random
import socket
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.network.link_endpoint import MTU

_MAX_BATCH = 64
"""Packets forwarded from one endpoint before the other has its turn."""


class LossyLink:
    """A link between two endpoints; an async context manager.

    Attributes:
        loss: Share of packets that are lost, in either direction.
        down: Whether all packets are lost.
        forwarded: Number of forwarded packets.
        lost: Number of lost packets.
    """

    def __init__(self, seed: int) -> None:
        """Create a link without loss; `seed` determines which packets it loses."""
        self.loss = 0.0
        self.down = False
        self.forwarded = self.lost = 0
        self._rng = random.Random(seed)
        self._interfaces: list[int] = []

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        self._socket = Path(self._folder.name, "link")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._socket))
        self._listener.listen()
        self._listener.setblocking(False)
        self._connecting = asyncio.create_task(self._connect(), name="lossy link")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._connecting.cancel()
        await asyncio.gather(self._connecting, return_exceptions=True)
        self._listener.close()
        for interface in self._interfaces:
            asyncio.get_running_loop().remove_reader(interface)
            os.close(interface)
        self._folder.cleanup()

    def endpoint_command(self, address: str) -> list[str]:
        """Return the command that runs another one at an endpoint of the link.

        The first two endpoints are connected.

        Args:
            address: IPv4 address of the endpoint; both are in one network, with a prefix of
                `link_endpoint.PREFIX` bits.
        """
        return [
            *("unshare", "--net", sys.executable, "-m", "tests.network.link_endpoint"),
            *(str(self._socket), address),
        ]

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        while len(self._interfaces) < 2:
            connection, _ = await loop.sock_accept(self._listener)
            with connection:
                connection.setblocking(True)
                _, interfaces, _, _ = socket.recv_fds(connection, 16, 1)
                os.set_blocking(interfaces[0], False)
                self._interfaces += interfaces
                connection.send(b"!")
        for source, target in (self._interfaces, self._interfaces[::-1]):
            loop.add_reader(source, self._forward, source, target)

    def _forward(self, source: int, target: int) -> None:
        for _ in range(_MAX_BATCH):
            try:
                packet = os.read(source, MTU + 100)
            except BlockingIOError:
                return
            if self.down or self._rng.random() < self.loss:
                self.lost += 1
                continue
            self.forwarded += 1
            with contextlib.suppress(OSError):
                os.write(target, packet)
