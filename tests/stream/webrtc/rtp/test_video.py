"""Video between two real peers whose packets take the direct way, with and without loss."""

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCRtpReceiver,
)
from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtcrtpsender import RTCRtpSender

from stream.ice.addresses import MediaAddresses
from stream.webrtc.jitter_buffer import use_low_latency_jitter_buffer
from stream.webrtc.rtp import RtpReceiver, RtpSender, RtpTransport, use_direct_rtp
from stream.webrtc.rtp.packet import VideoPacket

SIDE = 240
FRAMES = 40


@pytest.fixture(autouse=True)
async def direct_rtp() -> AsyncIterator[None]:
    use_direct_rtp()
    use_low_latency_jitter_buffer()
    addresses = MediaAddresses("127.0.0.1")
    yield
    addresses.release()


class NoisyTrack(MediaStreamTrack):
    """Frames that take several packets each, numbered by their timestamps, at 50 per second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self._random = np.random.default_rng(0)

    async def recv(self) -> av.VideoFrame:
        """Return the next frame when it is due."""
        await asyncio.sleep(0.02)
        noise = self._random.integers(0, 255, (SIDE * 3 // 2, SIDE), np.uint8)
        frame = av.VideoFrame.from_ndarray(noise, format="yuv420p")
        frame.pts, frame.time_base = 1800 * self.sent, Fraction(1, 90_000)
        self.sent += 1
        return frame


class Call:
    """A peer that sends and one that receives."""

    def __init__(self) -> None:
        configuration = RTCConfiguration(iceServers=[])
        self.sending, self.receiving = (RTCPeerConnection(configuration) for _ in range(2))
        self.track = NoisyTrack()
        self.sending.addTrack(self.track)
        self.frames: list[int] = []
        self.receiving.on("track", self._on_track)

    async def connect(self) -> None:
        """Exchange offer and answer."""
        await self.sending.setLocalDescription(await self.sending.createOffer())
        await self.receiving.setRemoteDescription(self.sending.localDescription)
        await self.receiving.setLocalDescription(await self.receiving.createAnswer())
        await self.sending.setRemoteDescription(self.receiving.localDescription)

    @property
    def sender(self) -> RtpSender:
        """The sender of the video."""
        found = self.sending.getSenders()[0]
        assert isinstance(found, RtpSender)
        return found

    @property
    def receiver(self) -> RtpReceiver:
        """The receiver of the video."""
        found = self.receiving.getReceivers()[0]
        assert isinstance(found, RtpReceiver)
        return found

    def change_packets(self, change: Callable[[bytes], bytes | None]) -> None:
        """Pass each packet on its way to the receiver through a function; None loses it."""
        transport = self.sender.transport
        assert isinstance(transport, RtpTransport)
        udp = next(iter(transport.transport._connection._nominated.values())).protocol.transport
        send = udp.sendto

        def send_changed(data: bytes, address: Any) -> None:
            if (changed := change(data)) is not None:
                send(changed, address)

        vars(udp)["sendto"] = send_changed

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait for a condition."""
        async with asyncio.timeout(20):
            while not condition():
                await asyncio.sleep(0.01)

    def _on_track(self, track: MediaStreamTrack) -> None:
        self._reading = asyncio.create_task(self._read(track))

    async def _read(self, track: MediaStreamTrack) -> None:
        with contextlib.suppress(Exception):
            while True:
                frame = await track.recv()
                assert isinstance(frame, av.VideoFrame) and frame.pts is not None
                self.frames.append(frame.pts // 1800)


@pytest.fixture
async def call() -> AsyncIterator[Call]:
    before = asyncio.all_tasks()
    made = Call()
    try:
        await made.connect()
        await made.until(lambda: made.frames)
        yield made
    finally:
        await asyncio.gather(made.sending.close(), made.receiving.close())
        await asyncio.wait_for(made._reading, 5)
        await asyncio.sleep(0.05)
    assert asyncio.all_tasks() - before == {asyncio.current_task()}


def is_media(data: bytes) -> bool:
    return 127 < data[0] < 192 and not 192 <= data[1] <= 223


async def test_only_the_first_packet_takes_aiortcs_way(monkeypatch: pytest.MonkeyPatch) -> None:
    by_aiortc: list[object] = []
    handle, send = RTCRtpReceiver._handle_rtp_packet, RTCDtlsTransport._send_rtp

    async def handle_noted(self: RTCRtpReceiver, packet: Any, arrival_time_ms: int) -> None:
        by_aiortc.append(packet)
        await handle(self, packet, arrival_time_ms)

    async def send_noted(self: RTCDtlsTransport, data: bytes) -> None:
        if is_media(data):
            by_aiortc.append(data)
        await send(self, data)

    monkeypatch.setattr(RTCRtpReceiver, "_handle_rtp_packet", handle_noted)
    monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", send_noted)
    call = Call()
    try:
        await call.connect()
        await call.until(lambda: len(call.frames) > FRAMES)

        (inbound,) = (
            part for part in (await call.receiver.getStats()).values() if part.type == "inbound-rtp"
        )
        assert inbound.packetsReceived > 4 * FRAMES
        # Those that come before the one that tells which receiver is meant has been taken out.
        assert len(by_aiortc) < 0.1 * inbound.packetsReceived
    finally:
        await asyncio.gather(call.sending.close(), call.receiving.close())
        await asyncio.wait_for(call._reading, 5)


async def test_frames_arrive_in_order_and_statistics_count_them(call: Call) -> None:
    await call.until(lambda: len(call.frames) > FRAMES)

    first = call.frames[0]
    assert call.frames == list(range(first, first + len(call.frames)))
    sent = {part.type: part for part in (await call.sender.getStats()).values()}
    received = {part.type: part for part in (await call.receiver.getStats()).values()}
    outbound, inbound = sent["outbound-rtp"], received["inbound-rtp"]
    assert inbound.packetsLost == 0
    assert 0 <= outbound.packetsSent - inbound.packetsReceived < 60
    assert outbound.bytesSent > 1000 * outbound.packetsSent
    for report in (sent["transport"], received["transport"]):
        assert report.packetsSent + report.packetsReceived > outbound.packetsSent - 60
    assert sent["transport"].bytesSent > outbound.bytesSent
    await call.until(lambda: "remote-inbound-rtp" in _types(call.sender))


def _types(sender: RtpSender) -> set[str]:
    return {part.type for part in vars(sender)["_RTCRtpSender__stats"].values()}


async def test_lost_packets_are_sent_again_so_that_no_frame_is_lost(call: Call) -> None:
    dice, lost, seen = random.Random(1), set[int](), set[bytes]()

    def lose(data: bytes) -> bytes | None:
        # A packet of the media itself, once; what is sent again has another source.
        if is_media(data) and data not in seen and dice.random() < 0.05:
            lost.add(len(lost))
            return None
        seen.add(data)
        return data

    begin = call.frames[-1]
    call.change_packets(lose)
    await call.until(lambda: len(lost) > 10 and call.frames[-1] > begin + FRAMES)

    assert call.frames == list(range(call.frames[0], call.frames[0] + len(call.frames)))


async def test_reordered_packets_and_repeated_ones_do_no_harm(call: Call) -> None:
    transport = call.sender.transport.transport._connection
    pair = next(iter(transport._nominated.values()))
    send, held = pair.protocol.transport.sendto, list[bytes]()

    def shuffle(data: bytes) -> bytes | None:
        if not is_media(data):
            return data
        held.append(data)
        if len(held) == 3:
            for each in (held[1], held[2], held[1]):
                send(each, pair.remote_addr)
            data = held[0]
            held.clear()
            return data
        return None

    begin = call.frames[-1]
    call.change_packets(shuffle)
    await call.until(lambda: call.frames[-1] > begin + FRAMES)

    assert call.frames == list(range(call.frames[0], call.frames[0] + len(call.frames)))


async def test_forged_and_damaged_packets_are_dropped(call: Call) -> None:
    candidate = call.receiver.transport.transport._connection.local_candidates[0]
    forged: list[bytes] = []

    def forge(data: bytes) -> bytes:
        if is_media(data):
            forged.append(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        return data

    call.change_packets(forge)
    await call.until(lambda: len(forged) > 20)
    begin = call.frames[-1]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for data in (*forged, b"", *(data[:13] for data in forged), forged[0] + bytes(2000)):
            stranger.sendto(data, (candidate.host, candidate.port))
    await call.until(lambda: call.frames[-1] > begin + FRAMES)

    assert call.receiving.connectionState == "connected"
    assert call.frames == list(range(call.frames[0], call.frames[0] + len(call.frames)))


async def test_a_peer_with_another_source_in_each_packet_fills_no_memory(call: Call) -> None:
    transport, receiver = call.sender.transport, call.receiver
    assert isinstance(transport, RtpTransport)
    (payload_type, *_) = receiver._direct
    for source in range(300):
        header = struct.pack("!BBHLL", 0x80, payload_type or 0, 1, 1, 1_000_000 + source)
        transport.send_packets([header + b"\x10\0"])
        # At first in a burst, which is read before any of it is understood.
        await asyncio.sleep(0.002 * (source > 60))
    seen = len(call.frames)
    await call.until(lambda: len(call.frames) > seen + 5)

    private: Any = receiver
    assert len(private._RTCRtpReceiver__remote_streams) == 31
    assert len(private.transport._rtp_router.ssrc_table) <= 100
    # As long as aiortc waits for at most.
    await asyncio.sleep(1.6)
    # Reports are still sent, without which the connection would never close.
    assert not private._RTCRtpReceiver__rtcp_task.done()


async def test_a_key_frame_is_requested_when_packets_are_gone(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[object] = []
    request = RTCRtpSender._send_keyframe

    def request_noted(self: RTCRtpSender) -> None:
        requests.append(self)
        request(self)

    monkeypatch.setattr(RTCRtpSender, "_send_keyframe", request_noted)
    begin = call.frames[-1]
    until = call.track.sent + 10
    # Also what is sent again.
    call.change_packets(lambda data: None if is_media(data) and call.track.sent < until else data)
    await call.until(lambda: call.frames[-1] > begin + FRAMES)

    assert requests


async def test_the_bandwidth_is_estimated_as_packet_by_packet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    made = connection.addTransceiver("video").receiver
    assert isinstance(made, RtpReceiver)
    expected, dice, now = RemoteBitrateEstimator(), random.Random(0), 1_700_000_000.0
    monkeypatch.setattr("stream.webrtc.rtp.receiver.time.time", lambda: now)
    number = 0
    for frame in range(300):
        sent = int((now + dice.gauss(0, 0.003)) * (1 << 18)) & 0xFFFFFF
        packets = dice.randint(1, 9)
        for index in range(packets):
            payload = bytes(dice.randint(1, 1200))
            number += 1
            marker = int(index == packets - 1)
            packet = VideoPacket(number, frame, 1, 96, marker, payload, 0, sent)
            made._count_for_bandwidth(packet, sent)
            arrived_ms = int((now + 2_208_988_800) * 1000)
            expected.add(arrived_ms, sent, len(payload), 1)
            now += dice.choice([0, 0, 0.0004, 0.002])
        now += 0.06 + dice.gauss(0, 0.004)
    found = vars(made)["_RTCRtpReceiver__remote_bitrate_estimator"]

    at_ms = int((now + 2_208_988_800) * 1000)
    assert found.incoming_bitrate.rate(at_ms) == expected.incoming_bitrate.rate(at_ms)
    assert found.estimator.offset() == pytest.approx(expected.estimator.offset())
    assert found.detector.state() == expected.detector.state()
    await connection.close()
