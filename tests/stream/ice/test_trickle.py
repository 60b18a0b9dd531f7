"""Parsing of trickled ICE candidates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.ice.trickle import MAX_CANDIDATES, FragmentError, SdpFragment, parse_ice_credentials

# From RFC 9725, section 4.3.2, with additional candidates that are not usable.
EXAMPLE = """\
a=group:BUNDLE 0 1
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:0
a=ice-ufrag:EsAw
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1
a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw
a=candidate:3471623853 1 udp 2122194687 198.51.100.2 61765 typ host generation 0 ufrag EsAw
a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0
a=candidate:2154773085 2 udp 2122260222 192.0.2.1 61766 typ host
a=candidate:2154773085 1 udp 2122260222 192.0.2.1 0 typ host
a=candidate:2154773085 1 udp 2122260222 example.org 61766 typ host
m=video 9 UDP/TLS/RTP/SAVPF 96
a=mid:1
a=candidate:4 1 UDP 1 4c4f.local 61767 typ srflx raddr 0.0.0.0 rport 9
a=end-of-candidates
"""
LINES = EXAMPLE.splitlines()


def test_usable_candidates_are_parsed() -> None:
    fragment = SdpFragment.parse(EXAMPLE.replace("\n", "\r\n"))

    assert fragment.credentials == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert [(found.sdpMid, found.ip, found.port) for found in fragment.candidates] == [
        ("0", "192.0.2.1", 61764),
        ("0", "198.51.100.2", 61765),
        ("1", "4c4f.local", 61767),
    ]


def test_candidates_outside_a_section_belong_to_the_first() -> None:
    lines = [line for line in LINES if not line.startswith(("m=", "a=mid"))]
    first, *_ = SdpFragment.parse("\n".join(lines)).candidates

    assert (first.sdpMid, first.sdpMLineIndex) == (None, 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ice-ufrag"),
        (EXAMPLE.replace("a=ice-pwd:", "a=ice-word:"), "ice-pwd"),
        (EXAMPLE.replace("192.0.2.1 61764", "192.0.2.1 here"), "not a valid candidate"),
        (EXAMPLE + "a=candidate:1 1 udp", "not a valid candidate"),
        (EXAMPLE + MAX_CANDIDATES * (LINES[5] + "\n"), "more than"),
    ],
)
def test_a_malformed_fragment_is_refused_with_a_reason(text: str, message: str) -> None:
    with pytest.raises(FragmentError, match=message):
        SdpFragment.parse(text)


def test_credentials_of_an_offer_are_parsed() -> None:
    assert parse_ice_credentials("v=0\r\n" + EXAMPLE) == SdpFragment.parse(EXAMPLE).credentials
    assert parse_ice_credentials("v=0\r\n") is None


@given(st.lists(st.text(max_size=30) | st.sampled_from(LINES), max_size=30))
def test_any_text_is_parsed_or_refused(lines: list[str]) -> None:
    try:
        SdpFragment.parse("\n".join([*LINES[3:5], *lines]))
    except FragmentError as problem:
        assert str(problem)
