import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.webrtc.offer import InputKind, Offer, OfferError
from tests.support.peer import Peer

LIMIT = 65_536
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n"


def refusal(body: object, limit: int = LIMIT) -> str:
    with pytest.raises(OfferError) as caught:
        Offer.read(body, limit)
    assert str(caught.value)
    return caught.value.code


async def test_takes_what_a_peer_offers() -> None:
    async with Peer(None) as peer:
        sdp = (await peer.offer()).sdp

    offer = Offer.read({"sdp": sdp, "type": "offer", "source": "demo"}, LIMIT)
    assert offer.input is InputKind.DEMO
    assert offer.description.sdp == sdp
    assert refusal({"sdp": sdp, "type": "offer"}) == "no-video"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "bad-request"),
        ([], "bad-request"),
        ({"type": "offer"}, "bad-request"),
        ({"sdp": 7, "type": "offer"}, "bad-request"),
        ({"sdp": HEAD + VIDEO, "type": "answer"}, "bad-request"),
        ({"sdp": HEAD + VIDEO, "type": "offer", "source": "rtsp://elsewhere"}, "bad-request"),
        ({"sdp": HEAD + VIDEO, "type": "offer", "source": ["demo"]}, "bad-request"),
        ({"sdp": "nonsense", "type": "offer"}, "bad-sdp"),
        ({"sdp": "", "type": "offer"}, "bad-sdp"),
        ({"sdp": HEAD, "type": "offer"}, "no-video"),
        ({"sdp": HEAD + VIDEO + VIDEO, "type": "offer"}, "no-video"),
        ({"sdp": HEAD + VIDEO + "a=inactive\r\n", "type": "offer"}, "no-video"),
        ({"sdp": HEAD + VIDEO.replace("m=video 9", "m=video 0"), "type": "offer"}, "no-video"),
        ({"sdp": HEAD + VIDEO * 9, "type": "offer"}, "bad-sdp"),
    ],
)
def test_says_why_it_refuses(body: object, code: str) -> None:
    assert refusal(body) == code


@pytest.mark.parametrize(
    ("was", "becomes", "told"),
    [
        ("a=mid:0\r\n", "a=mid:5\r\n", "bundles"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 9 0 1", "bundles"),
        ("m=application", "m=example", "bundles"),
        ("a=mid:1", "a=mid:0", "same mid"),
        ("a=fingerprint:", "a=finger:", "fingerprint"),
    ],
)
async def test_refuses_what_would_be_answered_by_chance(was: str, becomes: str, told: str) -> None:
    async with Peer(None) as peer:
        sdp = (await peer.offer()).sdp

    body = {"sdp": sdp.replace(was, becomes), "type": "offer", "source": "demo"}
    assert body["sdp"] != sdp
    with pytest.raises(OfferError, match=told) as caught:
        Offer.read(body, LIMIT)
    assert caught.value.code == "bad-sdp"


def test_measures_before_it_parses() -> None:
    assert refusal({"sdp": "ä" * 600, "type": "offer"}, 1024) == "too-large"


@given(st.lists(st.text(max_size=20) | st.sampled_from((HEAD + VIDEO).splitlines()), max_size=30))
def test_whatever_the_sdp_it_is_taken_or_refused(lines: list[str]) -> None:
    try:
        Offer.read({"sdp": "\r\n".join(lines), "type": "offer"}, LIMIT)
    except OfferError as problem:
        assert problem.code in ("bad-sdp", "no-video")
