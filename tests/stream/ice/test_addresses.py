"""Addresses and ports of media."""

import asyncio
import re
import socket

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, sdp

from stream.ice.addresses import MediaAddresses, NoPortFree
from stream.ice.trickle import MAX_CANDIDATES

CANDIDATE = "a=candidate:1 1 UDP 2122252543 {} 40000 typ host generation 0\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


def aioice_addresses() -> list[str]:
    return aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "::1")]
)
def test_a_server_on_the_loopback_offers_it_first(host: str, address: str) -> None:
    before = aioice_addresses()
    addresses = MediaAddresses(host)
    offered = aioice_addresses()
    addresses.release()

    # The others are closed to other machines: see test_sockets.py.
    assert offered == [address, *before]
    assert aioice_addresses() == before


def test_media_is_restricted_to_the_bound_address() -> None:
    addresses = MediaAddresses("192.168.1.7")
    restricted = aioice_addresses()
    addresses.release()

    assert restricted == ["192.168.1.7"]


def test_a_server_on_all_addresses_offers_the_loopback_too() -> None:
    before = aioice_addresses()
    addresses = MediaAddresses("0.0.0.0")
    unrestricted = aioice_addresses()
    addresses.release()

    assert unrestricted == ["127.0.0.1", *before]


@pytest.mark.parametrize("other", ["192.168.1.7", "8.8.8.8", "f00d.local", "fe80::1"])
def test_on_the_loopback_other_addresses_are_removed(other: str, loopback: MediaAddresses) -> None:
    head, tail = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "a=mid:0\r\n"
    filtered = loopback.filter_candidates(head + CANDIDATE.format(other) + tail)

    assert other not in filtered
    assert filtered.startswith(head + tail)
    # Without any candidate aioice would not wait for the browser's own checks.
    assert filtered.count("a=candidate:") == 1


def test_on_the_loopback_its_own_candidates_are_kept(loopback: MediaAddresses) -> None:
    sdp = VIDEO + CANDIDATE.format("127.0.0.1") + CANDIDATE.format("::1")

    assert loopback.filter_candidates(sdp) == sdp


def test_on_other_addresses_candidates_are_kept() -> None:
    addresses = MediaAddresses("0.0.0.0")
    sdp = VIDEO + CANDIDATE.format("192.168.1.7")

    assert addresses.filter_candidates(sdp) == sdp
    addresses.release()


def test_names_and_the_end_of_candidates_are_removed() -> None:
    """Else an offer waits for names, and the connection fails if none can be resolved."""
    addresses = MediaAddresses("0.0.0.0")
    named = VIDEO + CANDIDATE.format("f00d.local") + "a=end-of-candidates\r\na=mid:0\r\n"
    filtered = addresses.filter_candidates(named)
    addresses.release()

    parsed = sdp.SessionDescription.parse(f"v=0\r\n{filtered}").media[0]
    assert [candidate.ip for candidate in parsed.ice_candidates] == ["127.0.0.1"]
    assert not parsed.ice_candidates_complete
    assert parsed.rtp.muxId == "0"


@pytest.mark.parametrize(
    "line",
    [
        "a=candidate:1  1\tUDP 1 8.8.8.8 40000 typ host",
        "a=ignored\x0ba=candidate:1 1 UDP 1 8.8.8.8 40000 typ host",
        "a=ignored\u2028a=candidate:1 1 UDP 1 8.8.8.8 40000 typ host",
        "a=candidate:1 1 UDP 1 127.0.0.1 70000 typ host",
        "a=candidate:1 1 TCP 1 127.0.0.1 9 typ host tcptype active",
        "a=candidate:1 1 UDP 1 127.0.0.1 nowhere typ host",
    ],
)
def test_unusual_notation_does_not_bypass_the_filter(line: str, loopback: MediaAddresses) -> None:
    parsed = sdp.SessionDescription.parse(loopback.filter_candidates(f"v=0\r\n{VIDEO}{line}\r\n"))

    assert [found.port for found in parsed.media[0].ice_candidates] == [9]
    assert [found.ip for found in parsed.media[0].ice_candidates] == ["127.0.0.1"]


def test_the_number_of_candidates_is_limited(loopback: MediaAddresses) -> None:
    many = "".join(f"a=candidate:1 1 UDP 1 127.0.0.1 {port} typ host\r\n" for port in range(9, 999))

    assert loopback.filter_candidates(VIDEO + many).count("a=candidate:") == MAX_CANDIDATES


OFFER = "v=0\r\nm=audio 9 X 1\r\na=mid:0\r\nm=video 9 X 2\r\na=mid:1"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_an_offer_without_candidates_gets_placeholders(host: str) -> None:
    addresses = MediaAddresses(host)
    filtered = addresses.filter_candidates(OFFER)
    addresses.release()

    _, *sections = filtered.split("m=")
    assert [section.count("a=candidate:") for section in sections] == [1, 1]
    assert all(section.endswith("\r\n") for section in sections)


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "10.0.0.1", False),
        ("127.0.0.1", "f00d.local", False),
        ("0.0.0.0", "10.0.0.1", True),
    ],
)
def test_trickled_candidates_are_filtered_alike(host: str, address: str, allowed: bool) -> None:
    addresses = MediaAddresses(host)
    assert addresses.allows(address) is allowed
    addresses.release()


def free_ports(count: int) -> range:
    """Return consecutive UDP ports that are not in use."""
    for first in range(40_000, 60_000, 50):
        ports = range(first, first + count)
        try:
            for port in ports:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("0.0.0.0", port))
        except OSError:
            continue
        return ports
    raise AssertionError("no ports are free")


async def gather() -> tuple[RTCPeerConnection, list[int]]:
    """Create a peer; return it and the ports of its loopback candidates."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.createDataChannel("captions")
    await peer.setLocalDescription(await peer.createOffer())
    found = re.findall(r"a=candidate:.* 127\.0\.0\.1 (\d+) typ host", peer.localDescription.sdp)
    return peer, [int(port) for port in found]


async def test_media_uses_ports_of_the_range_until_none_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The machine's other addresses have the same ports of their own.
    monkeypatch.setattr("stream.ice.addresses._get_host_addresses", lambda *_: [])
    ports = free_ports(4)
    addresses = MediaAddresses("127.0.0.1", ports)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", ports[1]))
        peers = [await gather() for _ in range(4)]
    assert [found for _, found in peers] == [[ports[0]], [ports[2]], [ports[3]], []]
    addresses.check_answer(peers[2][0].localDescription.sdp)
    with pytest.raises(NoPortFree, match=f"{ports[0]}-{ports[3]} are in use"):
        addresses.check_answer(peers[3][0].localDescription.sdp)

    await peers[0][0].close()
    peers.append(await gather())
    assert peers[-1][1] in ([ports[0]], [ports[1]])

    addresses.release()
    assert vars(aioice.ice)["asyncio"] is asyncio
    await asyncio.gather(*(peer.close() for peer, _ in peers))
