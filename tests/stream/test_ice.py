import aioice.ice
import pytest

from stream.ice import MediaAddresses

CANDIDATE = "a=candidate:1 1 UDP 2122252543 {} 40000 typ host generation 0\r\n"


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
    assert admitted.startswith(head)
    assert admitted.endswith(tail)
    # aioice needs a candidate to wait for the browser's own checks.
    assert admitted.count("a=candidate:") == 1


def test_on_the_loopback_its_own_candidates_stay(loopback: MediaAddresses) -> None:
    sdp = CANDIDATE.format("127.0.0.1") + CANDIDATE.format("::1")

    assert loopback.admit(sdp) == sdp


def test_elsewhere_candidates_stay() -> None:
    addresses = MediaAddresses("0.0.0.0")
    sdp = CANDIDATE.format("192.168.1.7")

    assert addresses.admit(sdp) == sdp
    addresses.release()
