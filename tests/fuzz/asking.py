"""HTTP requests, as bytes, to a server that runs."""

import asyncio
import contextlib
import re
from urllib.parse import urlsplit

from tests.fuzz.faults import Fault

_ANSWER_S = 15.0
_ENOUGH = 65_536


class Asker:
    """Sends requests to a server, each on a connection of its own, and counts the answers."""

    def __init__(self, url: str) -> None:
        """Ask the server at an URL."""
        parts = urlsplit(url)
        self._address = parts.hostname, parts.port
        self.statuses: dict[int, int] = {}
        """How many answers had each status; 0 for connections that were closed without one."""

    async def ask(self, request: bytes) -> None:
        """Send something; it has to be answered, or the connection closed.

        An answer that has begun may go on for ever, as events do: its beginning is read.

        Raises:
            Fault: If neither happens in time, or the answer is that the server failed.
        """
        reader, writer = await asyncio.open_connection(*self._address)
        try:
            answer = await self._talk(reader, writer, request)
        except TimeoutError as problem:
            raise Fault(f"no answer in {_ANSWER_S} s") from problem
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        found = re.match(rb"HTTP/\d\.\d (\d{3})", answer)
        if answer and not found:
            raise Fault(f"this is no answer: {answer[:200]!r}")
        status = int(found[1]) if found else 0
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status >= 500 and status not in (501, 503, 505):
            raise Fault(f"answered {answer[:500]!r}")

    async def _talk(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
    ) -> bytes:
        with contextlib.suppress(ConnectionError):
            writer.write(request)
        async with asyncio.timeout(_ANSWER_S):
            with contextlib.suppress(ConnectionError):
                return await reader.read(_ENOUGH)
        return b""
