import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.ice.trickle import MOST_CANDIDATES, FragmentError, SdpFragment, ice_credentials

# RFC 9725, section 4.3.2, with one candidate for each thing that is not used.
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


def test_reads_the_candidates_that_can_be_used() -> None:
    fragment = SdpFragment.parse(EXAMPLE.replace("\n", "\r\n"))

    assert fragment.credentials == ("EsAw", "P2uYro0UCOQ4zxjKXaWCBui1")
    assert [(found.sdpMid, found.ip, found.port) for found in fragment.candidates] == [
        ("0", "192.0.2.1", 61764),
        ("0", "198.51.100.2", 61765),
        ("1", "4c4f.local", 61767),
    ]


def test_without_a_section_candidates_are_the_first_ones() -> None:
    lines = [line for line in LINES if not line.startswith(("m=", "a=mid"))]
    first, *_ = SdpFragment.parse("\n".join(lines)).candidates

    assert (first.sdpMid, first.sdpMLineIndex) == (None, 0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "ice-ufrag"),
        (EXAMPLE.replace("a=ice-pwd:", "a=ice-word:"), "ice-pwd"),
        (EXAMPLE.replace("192.0.2.1 61764", "192.0.2.1 here"), "no candidate"),
        (EXAMPLE + "a=candidate:1 1 udp", "no candidate"),
        (EXAMPLE + MOST_CANDIDATES * (LINES[5] + "\n"), "at most"),
    ],
)
def test_says_what_a_fragment_lacks(text: str, told: str) -> None:
    with pytest.raises(FragmentError, match=told):
        SdpFragment.parse(text)


def test_an_offer_has_the_same_credentials() -> None:
    assert ice_credentials("v=0\r\n" + EXAMPLE) == SdpFragment.parse(EXAMPLE).credentials
    assert ice_credentials("v=0\r\n") is None


@given(st.lists(st.text(max_size=30) | st.sampled_from(LINES), max_size=30))
def test_whatever_the_body_it_is_taken_or_refused(lines: list[str]) -> None:
    try:
        SdpFragment.parse("\n".join([*LINES[3:5], *lines]))
    except FragmentError as problem:
        assert str(problem)
