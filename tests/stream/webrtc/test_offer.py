"""Validation of SDP offers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.webrtc.offer import InputKind, Offer, OfferError
from tests.support.peer import Peer

LIMIT = 65_536
HEAD = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=rtpmap:96 VP8/90000\r\n"


def error_code(body: object, limit: int = LIMIT) -> str:
    with pytest.raises(OfferError) as caught:
        Offer.from_json(body, limit)
    assert str(caught.value)
    return caught.value.code


async def test_a_valid_offer_is_accepted() -> None:
    async with Peer(None) as peer:
        sdp = (await peer.offer()).sdp

    offer = Offer.from_json({"sdp": sdp, "type": "offer", "source": "demo"}, LIMIT)
    assert offer.input is InputKind.DEMO
    assert offer.description.sdp == sdp
    assert error_code({"sdp": sdp, "type": "offer"}) == "no-video"


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
        ({"sdp": HEAD + VIDEO, "type": "offer", "returned_video": "plain"}, "bad-request"),
        (
            {
                **{"sdp": HEAD + VIDEO, "type": "offer", "source": "feed", "feed": "hall"},
                "returned_video": "off",
            },
            "bad-request",
        ),
        ({"sdp": "nonsense", "type": "offer"}, "bad-sdp"),
        ({"sdp": "", "type": "offer"}, "bad-sdp"),
        ({"sdp": HEAD, "type": "offer"}, "no-video"),
        ({"sdp": HEAD + VIDEO + VIDEO, "type": "offer"}, "no-video"),
        ({"sdp": HEAD + VIDEO + "a=inactive\r\n", "type": "offer"}, "no-video"),
        ({"sdp": HEAD + VIDEO.replace("m=video 9", "m=video 0"), "type": "offer"}, "no-video"),
        # Port zero rejects a section unless it is bundled (RFC 3264, section 6).
        (
            {
                "sdp": HEAD + VIDEO.replace("m=video 9", "m=video 0") + "a=bundle-only\r\n",
                "type": "offer",
            },
            "no-video",
        ),
        ({"sdp": HEAD + VIDEO * 9, "type": "offer"}, "bad-sdp"),
    ],
)
def test_an_invalid_offer_is_refused_with_a_code(body: object, code: str) -> None:
    assert error_code(body) == code


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a=mid:0\r\n", "a=mid:5\r\n", "bundles"),
        ("a=group:BUNDLE 0 1", "a=group:BUNDLE 9 0 1", "bundles"),
        ("m=application", "m=example", "bundles"),
        ("a=mid:1", "a=mid:0", "same mid"),
        ("a=fingerprint:", "a=finger:", "fingerprint"),
    ],
)
async def test_inconsistent_media_sections_are_refused(old: str, new: str, message: str) -> None:
    async with Peer(None) as peer:
        sdp = (await peer.offer()).sdp

    body = {"sdp": sdp.replace(old, new), "type": "offer", "source": "demo"}
    assert body["sdp"] != sdp
    with pytest.raises(OfferError, match=message) as caught:
        Offer.from_json(body, LIMIT)
    assert caught.value.code == "bad-sdp"


def test_the_size_is_checked_before_parsing() -> None:
    assert error_code({"sdp": "ä" * 600, "type": "offer"}, 1024) == "too-large"


@given(st.lists(st.text(max_size=20) | st.sampled_from((HEAD + VIDEO).splitlines()), max_size=30))
def test_any_sdp_is_accepted_or_refused(lines: list[str]) -> None:
    try:
        Offer.from_json({"sdp": "\r\n".join(lines), "type": "offer"}, LIMIT)
    except OfferError as problem:
        assert problem.code in ("bad-sdp", "no-video")
