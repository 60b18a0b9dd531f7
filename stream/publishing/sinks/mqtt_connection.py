"""A connection to an MQTT broker (MQTT version 3.1.1, OASIS Standard, 2014) that publishes.

Libraries for MQTT queue all that a broker sends, and log each packet that they do not expect. Here
the broker may be broken or hostile: packets and their number are bounded, and whatever the standard
does not allow ends the connection.
"""

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from stream.rate_limit import RateLimit

_CONNECT, _CONNACK, _PUBLISH, _PUBACK = 0x10, 0x20, 0x30, 0x40
_SUBSCRIBE, _SUBACK, _PINGREQ, _PINGRESP, _DISCONNECT = 0x82, 0x90, 0xC0, 0xD0, 0xE0
_RESPONSES = {_CONNACK, _PUBACK, _SUBACK, _PINGRESP}
_TYPE_MASK, _RETAIN, _QOS_1, _QOS_MASK = 0xF0, 0x01, 0x02, 0x06
_PROTOCOL_LEVEL = 4
_CLEAN_SESSION, _WILL_RETAINED_QOS_1, _HAS_PASSWORD, _HAS_USER = 0x02, 0x2C, 0x40, 0x80
_MAX_TEXT_BYTES = 0xFFFF
_REFUSALS = {
    1: "unacceptable protocol version",
    2: "client id rejected",
    3: "server unavailable",
    4: "wrong user name or password",
    5: "not authorized",
}
"""The return codes of CONNACK (section 3.2.2.3)."""

_CLOSED = "it closed the connection; check that no other server uses the same topic"

_NOT_ALLOWED = "it sends packets that MQTT does not allow"

_KEEPALIVE_S = 30
_TIMEOUT_S = 10.0
_CLOSE_S = 2.0
_MAX_PACKET_BYTES = 2**18
_MESSAGES_PER_S, _MESSAGES_BURST = 10, 2000
"""Messages that the broker may send: the burst are the retained ones after a subscription."""

OnRetained = Callable[[str, bytes], None]
"""Called with the topic and the content of each retained message; must not block."""


class MqttError(Exception):
    """The broker cannot be reached, refuses the connection, ends it, or violates the protocol."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is, and how to log in."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    user: str = ""
    password: str = ""


class MqttConnection:
    """An open connection. Requests wait for each other, so that one is unacknowledged at a time."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_retained: OnRetained
    ) -> None:
        """Use an open connection to a broker; see `connect_to_broker`."""
        self._reader, self._writer, self._on_retained = reader, writer, on_retained
        self._ids = itertools.cycle(range(1, 0x10000))
        self._turn = asyncio.Lock()
        self._awaited: tuple[int, bytes] | None = None
        """Type and packet identifier of the response that the broker owes."""
        self._response: asyncio.Future[None] | None = None
        self._messages = RateLimit(_MESSAGES_PER_S, burst=_MESSAGES_BURST)

    async def log_in(self, address: BrokerAddress, client_id: str, will: tuple[str, str]) -> None:
        """Send CONNECT and read the response.

        Raises:
            MqttError: If the broker refuses, or does not respond in time.
        """
        flags = _CLEAN_SESSION | _WILL_RETAINED_QOS_1
        texts = [client_id, *will]
        if address.user:
            flags |= _HAS_USER | (_HAS_PASSWORD if address.password else 0)
            texts += [address.user, address.password] if address.password else [address.user]
        header = _text("MQTT") + bytes((_PROTOCOL_LEVEL, flags)) + _KEEPALIVE_S.to_bytes(2)
        async with _in_time():
            await self._write(_packet(_CONNECT, header, *map(_text, texts)))
            kind, body = await self._read_packet()
        if kind != _CONNACK or len(body) != 2:
            raise MqttError(_NOT_ALLOWED)
        if body[1]:
            raise MqttError(f"login refused: {_REFUSALS.get(body[1], f'code {body[1]}')}")

    async def read(self) -> None:
        """Read what the broker sends until the connection is lost; requests need it to run.

        Raises:
            MqttError: When the connection is lost.
        """
        while True:
            self._handle(*await self._read_packet())

    async def keep_alive(self) -> None:
        """Send a PINGREQ from time to time.

        Raises:
            MqttError: When the broker does not respond in time.
        """
        while True:
            await asyncio.sleep(_KEEPALIVE_S / 2)
            await self._request(_packet(_PINGREQ), (_PINGRESP, b""))

    async def publish(self, topic: str, body: str | bytes, *, is_retained: bool = True) -> None:
        """Publish a message with QoS 1, and wait until the broker has it.

        Args:
            topic: The topic.
            body: The message.
            is_retained: Whether later subscribers receive it, too.

        Raises:
            MqttError: If the broker does not acknowledge it in time.
        """
        id_ = next(self._ids).to_bytes(2)
        flags = _QOS_1 | _RETAIN if is_retained else _QOS_1
        payload = body.encode() if isinstance(body, str) else body
        packet = _packet(_PUBLISH | flags, _text(topic), id_, payload)
        await self._request(packet, (_PUBACK, id_))

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe with QoS 0. A broker may deny it, and then sends nothing.

        Raises:
            MqttError: If the broker does not respond in time.
        """
        id_ = next(self._ids).to_bytes(2)
        parts = (_text(each) + b"\0" for each in filters)
        await self._request(_packet(_SUBSCRIBE, id_, *parts), (_SUBACK, id_))

    async def close(self, last: Sequence[tuple[str, str]]) -> None:
        """Publish last retained messages, and disconnect so that the will is not published.

        Nothing may be reading. They are sent with QoS 0, as the broker has to read them before the
        DISCONNECT that follows; it then closes the connection, which shows that it has.
        """
        packets = [_packet(_PUBLISH | _RETAIN, _text(topic), body.encode()) for topic, body in last]
        with contextlib.suppress(MqttError, OSError):
            async with asyncio.timeout(_CLOSE_S):
                await self._write(b"".join(packets) + _packet(_DISCONNECT))
                while await self._reader.read(_MAX_PACKET_BYTES):
                    pass

    async def _request(self, packet: bytes, awaited: tuple[int, bytes]) -> None:
        async with self._turn:
            self._awaited = awaited
            self._response = asyncio.get_running_loop().create_future()
            async with _in_time():
                await self._write(packet)
                await self._response

    def _handle(self, kind: int, body: bytes) -> None:
        if kind & _TYPE_MASK == _PUBLISH:
            self._receive(kind, body)
        elif self._response and self._awaited == (kind, body[:2]):
            self._awaited = None
            if not self._response.done():
                self._response.set_result(None)
        else:
            raise MqttError(_NOT_ALLOWED)

    def _receive(self, kind: int, body: bytes) -> None:
        if not self._messages.take():
            raise MqttError("it sends too many messages")
        size = int.from_bytes(body[:2])
        try:
            topic = body[2 : 2 + size].decode()
        except UnicodeDecodeError:
            topic = ""
        if kind & _QOS_MASK or not topic:
            raise MqttError(_NOT_ALLOWED)
        if kind & _RETAIN:
            self._on_retained(topic, body[2 + size :])

    async def _read_packet(self) -> tuple[int, bytes]:
        try:
            kind = (await self._reader.readexactly(1))[0]
            if kind not in _RESPONSES and kind & _TYPE_MASK != _PUBLISH:
                raise MqttError(_NOT_ALLOWED)
            async with _in_time():
                return kind, await self._reader.readexactly(await self._read_length())
        except (asyncio.IncompleteReadError, ConnectionError):
            raise MqttError(_CLOSED) from None
        except OSError as problem:
            raise MqttError(_describe(problem)) from problem

    async def _read_length(self) -> int:
        """Read the remaining length of a packet (section 2.2.3)."""
        length = 0
        for shift in (0, 7, 14, 21):
            byte = (await self._reader.readexactly(1))[0]
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                if length > _MAX_PACKET_BYTES:
                    break
                return length
        raise MqttError("it sends packets that are too large")

    async def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
            await self._writer.drain()
        except ConnectionError:
            raise MqttError(_CLOSED) from None
        except OSError as problem:
            raise MqttError(_describe(problem)) from problem


@asynccontextmanager
async def connect_to_broker(
    address: BrokerAddress, client_id: str, will: tuple[str, str], on_retained: OnRetained
) -> AsyncIterator[MqttConnection]:
    """Connect and log in; nothing is left of the connection afterwards.

    Args:
        address: The broker.
        client_id: A broker ends an older connection with the same client id, after publishing its
            will.
        will: Topic and content of the retained message that the broker publishes if the connection
            is lost.
        on_retained: Receives the retained messages of subscribed topics.

    Raises:
        MqttError: If the broker cannot be reached, or refuses the connection.
    """
    shutdown_s = _CLOSE_S if address.tls else None
    try:
        async with _in_time():
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=address.tls, ssl_shutdown_timeout=shutdown_s
            )
    # A host name that is not valid raises a UnicodeError.
    except (OSError, UnicodeError) as problem:
        raise MqttError(_describe(problem)) from problem
    try:
        connection = MqttConnection(reader, writer, on_retained)
        await connection.log_in(address, client_id, will)
        yield connection
    finally:
        # Does not wait for a broker that does not read.
        writer.transport.abort()


@asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(_TIMEOUT_S) as timeout:
            yield
    except TimeoutError:
        if not timeout.expired():
            raise
        raise MqttError(f"no response within {_TIMEOUT_S:g} s") from None


def _describe(problem: Exception) -> str:
    return getattr(problem, "strerror", None) or str(problem) or type(problem).__name__


def _packet(first: int, *parts: bytes) -> bytes:
    """Encode a packet; `first` is its type and its flags."""
    body = b"".join(parts)
    length, rest = bytearray(), len(body)
    while True:
        rest, digit = divmod(rest, 0x80)
        length.append(digit | (0x80 if rest else 0))
        if not rest:
            return bytes((first,)) + bytes(length) + body


def _text(text: str) -> bytes:
    """Encode a string with its length (section 1.5.3)."""
    data = text.encode()
    assert len(data) <= _MAX_TEXT_BYTES
    return len(data).to_bytes(2) + data
