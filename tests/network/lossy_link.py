"""A line that loses what it carries, at random or all of it for a while.

It joins two network namespaces: packets are read from an interface in one and written to the one
in the other, in this process. Nothing of the machine's own network is touched.
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

from tests.network.within import MTU

_MOST_AT_ONCE = 64
"""Packets of one end that are carried before the other has its turn."""


class BadLine:
    """A line between two ends, for as long as the context lasts; it begins without fault."""

    loss = 0.0
    """Part of all packets, of either direction, that are lost."""
    cut = False
    """Whether nothing comes through."""

    def __init__(self, seed: int) -> None:
        """Lose packets as the seed has it."""
        self._rng = random.Random(seed)
        self._ends: list[int] = []
        self.carried = self.lost = 0
        """Packets."""

    async def __aenter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        self._socket = Path(self._folder.name, "line")
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self._socket))
        self._listener.listen()
        self._listener.setblocking(False)
        self._joining = asyncio.create_task(self._join(), name="bad line")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._joining.cancel()
        await asyncio.gather(self._joining, return_exceptions=True)
        self._listener.close()
        for end in self._ends:
            asyncio.get_running_loop().remove_reader(end)
            os.close(end)
        self._folder.cleanup()

    def within(self, address: str) -> list[str]:
        """Give what runs a command at an end of the line: the first two that run are joined.

        Args:
            address: The end's IPv4 address; both ends are in one network of `within.PREFIX` bits.
        """
        return [
            *("unshare", "--net", sys.executable, "-m", "tests.network.within"),
            *(str(self._socket), address),
        ]

    async def _join(self) -> None:
        loop = asyncio.get_running_loop()
        while len(self._ends) < 2:
            connection, _ = await loop.sock_accept(self._listener)
            with connection:
                connection.setblocking(True)
                _, ends, _, _ = socket.recv_fds(connection, 16, 1)
                os.set_blocking(ends[0], False)
                self._ends += ends
                connection.send(b"!")
        for source, target in (self._ends, self._ends[::-1]):
            loop.add_reader(source, self._carry, source, target)

    def _carry(self, source: int, target: int) -> None:
        for _ in range(_MOST_AT_ONCE):
            try:
                packet = os.read(source, MTU + 100)
            except BlockingIOError:
                return
            if self.cut or self._rng.random() < self.loss:
                self.lost += 1
                continue
            self.carried += 1
            with contextlib.suppress(OSError):
                os.write(target, packet)
