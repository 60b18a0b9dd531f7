"""SDP offers of real clients, mutated according to the grammar of SDP (RFC 8866, RFC 8829)."""

import random
import re
from pathlib import Path

from tests.fuzz.mutation import STRANGE_NUMBERS, STRANGE_TEXTS, mutate_text, mutate_token

_OFFERS = Path(__file__).parent / "offers"
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_ATTRIBUTES = (
    *("a=rtpmap:{n} VP8/90000", "a=rtpmap:{n} H264/90000", "a=rtpmap:{n} {s}", "a=rtpmap:{s}"),
    *("a=fmtp:{n} apt={n}", "a=fmtp:{n} {s}={s};{s}", "a=fmtp:{s}", "a=rtcp-fb:{n} {s}"),
    *("a=rtcp-fb:* nack pli", "a=extmap:{n} {s}", "a=extmap:{n}/sendonly {s}", "a=ssrc:{n} {s}"),
    *("a=ssrc:{n} cname:{s}", "a=ssrc-group:FID {n} {n}", "a=ssrc-group:{s} {n}", "a=mid:{s}"),
    *("a=mid:{n}", "a=group:BUNDLE {n} {n}", "a=group:BUNDLE {s}", "a=group:{s}", "a=msid:{s} {s}"),
    *("a=setup:{s}", "a=setup:active", "a=setup:passive", "a=setup:holdconn", "a=ice-ufrag:{s}"),
    *("a=ice-pwd:{s}", "a=ice-options:{s}", "a=ice-lite", "a=end-of-candidates", "a=rtcp-mux"),
    *("a=fingerprint:sha-256 {s}", "a=fingerprint:{s} {s}", "a=fingerprint:{s}", "a=rtcp:{n} {s}"),
    *("a=candidate:{s}", "a=candidate:{n} {n} udp {n} {s} {n} typ host", "a=sctp-port:{n}"),
    "a=candidate:{n} {n} udp {n} 127.0.0.1 {n} typ srflx raddr {s} rport {n}",
    "a=candidate:{n} {n} tcp {n} 127.0.0.1 {n} typ host tcptype {s}",
    *("a=sctpmap:{n} webrtc-datachannel {n}", "a=max-message-size:{n}", "a=simulcast:send {s}"),
    *("a=rid:{s} send", "a=sendrecv", "a=sendonly", "a=recvonly", "a=inactive", "a={s}", "a={s}:"),
    *("b=AS:{n}", "c=IN IP4 {s}", "c=IN {s} 127.0.0.1", "o={s}", "t={n} {n}", "s={s}", "{s}={s}"),
    *("v={n}", "m=video {n} UDP/TLS/RTP/SAVPF {n}", "m={s} {n} {s} {n}", "m=video {n}", "m="),
    "m=application {n} UDP/DTLS/SCTP webrtc-datachannel",
)


def recorded_offers() -> list[str]:
    """Read the recorded offers of Chromium 156 and aiortc 1.16."""
    return [path.read_bytes().decode() for path in sorted(_OFFERS.glob("*.sdp"))]


def mutated_sdp(rng: random.Random, offers: list[str]) -> str:
    """Mutate one of some offers in a few places; some are returned unchanged."""
    sdp = rng.choice(offers)
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 6))):
        sdp = rng.choice(_MUTATIONS)(sdp, rng, offers)
    return sdp


def _change_token(sdp: str, rng: random.Random, _: list[str]) -> str:
    lines = sdp.split("\r\n")
    place = rng.randrange(len(lines))
    tokens = re.split(r"([ :=/;,])", lines[place])
    token = rng.randrange(len(tokens))
    tokens[token] = mutate_token(tokens[token], rng)
    lines[place] = "".join(tokens)
    return "\r\n".join(lines)


def _drop_lines(sdp: str, rng: random.Random, _: list[str]) -> str:
    lines = sdp.split("\r\n")
    place = rng.randrange(len(lines))
    del lines[place : place + rng.choice((1, 1, 1, 2, 10))]
    return "\r\n".join(lines)


def _repeat_line(sdp: str, rng: random.Random, _: list[str]) -> str:
    lines = sdp.split("\r\n")
    place = rng.randrange(len(lines))
    lines[place:place] = [lines[place]] * rng.choice((1, 1, 2, 200))
    return "\r\n".join(lines)


def _move_line(sdp: str, rng: random.Random, _: list[str]) -> str:
    lines = sdp.split("\r\n")
    lines.insert(rng.randrange(len(lines)), lines.pop(rng.randrange(len(lines))))
    return "\r\n".join(lines)


def _add_attribute(sdp: str, rng: random.Random, _: list[str]) -> str:
    lines = sdp.split("\r\n")
    line = rng.choice(_ATTRIBUTES)
    while "{n}" in line:
        line = line.replace("{n}", str(rng.choice((*STRANGE_NUMBERS, 96, 97, 5000))), 1)
    while "{s}" in line:
        line = line.replace("{s}", rng.choice(STRANGE_TEXTS).replace("{", ""), 1)
    lines.insert(rng.randint(0, len(lines)), line)
    return "\r\n".join(lines)


def _change_sections(sdp: str, rng: random.Random, offers: list[str]) -> str:
    head, *sections = re.split(r"(?m)^(?=m=)", sdp)
    match rng.randrange(4):
        case 0:
            rng.shuffle(sections)
        case 1:
            sections += [rng.choice(sections or [""])] * rng.choice((1, 3, 60))
        case 2 if sections:
            sections.pop(rng.randrange(len(sections)))
        case _:
            sections += re.split(r"(?m)^(?=m=)", rng.choice(offers))[1:]
    return head + "".join(sections)


def _change_directions(sdp: str, rng: random.Random, _: list[str]) -> str:
    return re.sub("|".join(_DIRECTIONS), lambda _: rng.choice(_DIRECTIONS), sdp)


def _change_line_endings(sdp: str, rng: random.Random, _: list[str]) -> str:
    return sdp.replace("\r\n", rng.choice(("\n", "\r", "\n\n", "\0", "\u2028")))


def _truncate(sdp: str, rng: random.Random, _: list[str]) -> str:
    return sdp[: rng.randint(0, len(sdp))]


def _mutate_characters(sdp: str, rng: random.Random, _: list[str]) -> str:
    return mutate_text(sdp, rng)


_MUTATIONS = (
    *((_change_token, _add_attribute) * 4),
    *((_drop_lines, _repeat_line, _move_line) * 2),
    *(_change_sections, _change_directions, _mutate_characters, _change_line_endings, _truncate),
)
