"""Brokers that are broken or hostile, on the loopback address, and one that is slow."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.stream.publishing.sinks.broker import Broker

CONNACK = b"\x20\x02\0\0"
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class HostileBroker:
    """Serves each connection with a behaviour, and counts them."""

    def __init__(self, behave: Behaviour) -> None:
        self._behave = behave
        self.port = self.connections = 0
        self.open: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connections += 1
        task = asyncio.current_task()
        assert task
        self.open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._behave(reader, writer)
        finally:
            self.open.discard(task)
            writer.transport.abort()

    def close(self) -> None:
        """Close all connections."""
        for task in self.open:
            task.cancel()


@asynccontextmanager
async def hostile(behave: Behaviour) -> AsyncIterator[HostileBroker]:
    """Run a hostile broker."""
    broker = HostileBroker(behave)
    server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
    broker.port = server.sockets[0].getsockname()[1]
    try:
        yield broker
    finally:
        server.close()
        broker.close()
        if broker.open:
            await asyncio.wait(broker.open)


async def read_packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read a packet: its first byte and what follows the length."""
    kind, length, shift = (await reader.readexactly(1))[0], 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return kind, await reader.readexactly(length)


def flooding(packet: bytes) -> Behaviour:
    """Accept the login, then send a packet again and again, and read nothing."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(CONNACK)
        while True:
            writer.write(packet * 100)
            await writer.drain()

    return behave


def sending_once(data: bytes) -> Behaviour:
    """Read the login, send something, and leave the connection open."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(data)
        while await reader.read(2**16):
            pass

    return behave


async def accept_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept the login, and close the connection."""
    await read_packet(reader)
    writer.write(CONNACK)
    await writer.drain()


async def never_acknowledge(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept the login, and acknowledge nothing."""
    writer.write(CONNACK)
    while await reader.read(2**16):
        pass


async def never_read(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept the login, and read nothing, not even that the connection is closed."""
    writer.write(CONNACK)
    await asyncio.sleep(60)


async def acknowledge_others(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept the login, and acknowledge packets that were never sent."""
    await read_packet(reader)
    writer.write(CONNACK)
    while True:
        await read_packet(reader)
        writer.write(b"\x40\x02\xff\xfe")


def byte_by_byte(broker: Broker) -> Behaviour:
    """Relay between a client and a broker, one byte at a time."""
    return _relaying(broker, 1, asyncio.Event())


def until_frozen(broker: Broker, frozen: asyncio.Event) -> Behaviour:
    """Relay between a client and a broker until an event is set; then neither gets anything."""
    return _relaying(broker, 2**16, frozen)


def _relaying(broker: Broker, size: int, frozen: asyncio.Event) -> Behaviour:
    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (data := await reader.read(size)) or frozen.is_set():
            if frozen.is_set():
                await asyncio.sleep(60)
            writer.write(data)
            await asyncio.sleep(0)
        writer.close()

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_broker, to_broker = await asyncio.open_connection("127.0.0.1", broker.port)
        try:
            await asyncio.gather(relay(reader, to_broker), relay(from_broker, writer))
        finally:
            to_broker.transport.abort()

    return behave


def keeping_online_unconfirmed(published: list[tuple[str, str]]) -> Behaviour:
    """Note each message, and acknowledge all but that a stream is online."""

    async def behave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_packet(reader)
        writer.write(CONNACK)
        while True:
            kind, body = await read_packet(reader)
            if kind & 0xF0 == 0x30:
                topic, rest = _text(body)
                number, rest = (rest[:2], rest[2:]) if kind & 0x06 else (b"", rest)
                published.append((topic, rest.decode()))
                if number and not topic.endswith("/availability"):
                    writer.write(b"\x40\x02" + number)
            elif kind & 0xF0 == 0x80:
                number, rest, filters = body[:2], body[2:], 0
                while rest:
                    _, rest = _text(rest)
                    rest, filters = rest[1:], filters + 1
                writer.write(bytes((0x90, 2 + filters)) + number + filters * b"\x01")
            elif kind & 0xF0 == 0xE0:
                return

    return behave


def _text(data: bytes) -> tuple[str, bytes]:
    """Read a text of MQTT; return what follows it, too."""
    end = 2 + int.from_bytes(data[:2])
    return data[2:end].decode(), data[end:]
