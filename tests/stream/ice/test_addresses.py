import asyncio
import re
import socket

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, sdp

from stream.ice.addresses import MediaAddresses, NoPortFree
from stream.ice.trickle import MOST_CANDIDATES

CANDIDATE = "a=candidate:1 1 UDP 2122252543 {} 40000 typ host generation 0\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n"


def gathered() -> list[str]:
    return aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "::1")]
)
def test_media_is_held_to_the_bound_address(host: str, address: str) -> None:
    before = gathered()
    addresses = MediaAddresses(host)
    held = gathered()
    addresses.release()

    assert held == [address]
    assert gathered() == before


def test_a_server_on_every_address_offers_the_loopback_too() -> None:
    before = gathered()
    addresses = MediaAddresses("0.0.0.0")
    everywhere = gathered()
    addresses.release()

    assert everywhere == ["127.0.0.1", *before]


@pytest.mark.parametrize("elsewhere", ["192.168.1.7", "8.8.8.8", "f00d.local", "fe80::1"])
def test_on_the_loopback_no_other_address_is_sent_to(
    elsewhere: str, loopback: MediaAddresses
) -> None:
    head, tail = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n", "a=mid:0\r\n"
    admitted = loopback.admit(head + CANDIDATE.format(elsewhere) + tail)

    assert elsewhere not in admitted
    assert admitted.startswith(head + tail)
    # aioice needs a candidate to wait for the browser's own checks.
    assert admitted.count("a=candidate:") == 1


def test_on_the_loopback_its_own_candidates_stay(loopback: MediaAddresses) -> None:
    sdp = VIDEO + CANDIDATE.format("127.0.0.1") + CANDIDATE.format("::1")

    assert loopback.admit(sdp) == sdp


def test_elsewhere_candidates_stay() -> None:
    addresses = MediaAddresses("0.0.0.0")
    sdp = VIDEO + CANDIDATE.format("192.168.1.7")

    assert addresses.admit(sdp) == sdp
    addresses.release()


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
def test_however_it_is_written_nothing_else_is_sent_to(line: str, loopback: MediaAddresses) -> None:
    parsed = sdp.SessionDescription.parse(loopback.admit(f"v=0\r\n{VIDEO}{line}\r\n"))

    assert [found.port for found in parsed.media[0].ice_candidates] == [9]
    assert [found.ip for found in parsed.media[0].ice_candidates] == ["127.0.0.1"]


def test_no_offer_has_more_candidates_than_can_be_checked(loopback: MediaAddresses) -> None:
    many = "".join(f"a=candidate:1 1 UDP 1 127.0.0.1 {port} typ host\r\n" for port in range(9, 999))

    assert loopback.admit(VIDEO + many).count("a=candidate:") == MOST_CANDIDATES


OFFER = "v=0\r\nm=audio 9 X 1\r\na=mid:0\r\nm=video 9 X 2\r\na=mid:1"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_an_offer_that_names_no_candidate_can_be_waited_for(host: str) -> None:
    addresses = MediaAddresses(host)
    admitted = addresses.admit(OFFER)
    addresses.release()

    _, *sections = admitted.split("m=")
    assert [section.count("a=candidate:") for section in sections] == [1, 1]
    assert all(section.endswith("\r\n") for section in sections)


@pytest.mark.parametrize(
    ("host", "address", "admitted"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "10.0.0.1", False),
        ("127.0.0.1", "f00d.local", False),
        ("0.0.0.0", "10.0.0.1", True),
    ],
)
def test_single_candidates_are_judged_alike(host: str, address: str, admitted: bool) -> None:
    addresses = MediaAddresses(host)
    assert addresses.admits(address) is admitted
    addresses.release()


def free_ports(count: int) -> range:
    """Ports side by side that nobody has."""
    for first in range(40_000, 60_000, 50):
        ports = range(first, first + count)
        try:
            for port in ports:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return ports
    raise AssertionError("no ports are free")


async def gather() -> tuple[RTCPeerConnection, list[int]]:
    """A peer, and the ports of its candidates."""
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.createDataChannel("captions")
    await peer.setLocalDescription(await peer.createOffer())
    found = re.findall(r"a=candidate:\S+ 1 udp \d+ \S+ (\d+) typ host", peer.localDescription.sdp)
    return peer, [int(port) for port in found]


async def test_media_takes_ports_of_the_range_and_says_when_there_are_none() -> None:
    ports = free_ports(4)
    addresses = MediaAddresses("127.0.0.1", ports)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", ports[1]))
        peers = [await gather() for _ in range(4)]
    assert [found for _, found in peers] == [[ports[0]], [ports[2]], [ports[3]], []]
    addresses.check_gathered(peers[2][0].localDescription.sdp)
    with pytest.raises(NoPortFree, match=f"{ports[0]}-{ports[3]} is taken"):
        addresses.check_gathered(peers[3][0].localDescription.sdp)

    await peers[0][0].close()
    peers.append(await gather())
    assert peers[-1][1] in ([ports[0]], [ports[1]])

    addresses.release()
    assert vars(aioice.ice)["asyncio"] is asyncio
    await asyncio.gather(*(peer.close() for peer, _ in peers))
