"""Tests of explanation requests between two real peers, by the real captioner."""

import asyncio
import gc
from types import SimpleNamespace
from typing import Any, cast

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.engine.engine import Engine
from inference.engine.service import EngineUnavailable, ExplanationResult
from inference.explanations.heatmap import COLORMAP
from inference.explanations.map import Map
from inference.progress import Progress
from stream.captioning.kept_frames import MAX_KEPT_FRAMES, FrameNotFound
from stream.captioning.stream_captioner import CaptionedFrame
from stream.data_channel.channel import CaptionChannel
from stream.data_channel.requests import _progress_sender
from stream.video.frame import yuv_planes
from stream.webrtc.sessions import SessionGone
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import SERVER_MESSAGE, connect, live_sessions, wait_until_empty
from tests.support.peer import Peer

LONG = "rise"


PATIENCE_S = 120
"""Longer than the engine takes for anything on a machine that is busy with tests."""


class Requester:
    """A client that sends requests and waits for their responses."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def caption(self) -> dict[str, Any]:
        """Wait for a caption that has words, and return the newest."""
        await self.peer.until(
            lambda: [c for c in self.peer.received("caption") if c["words"]], PATIENCE_S
        )
        return [c for c in self.peer.received("caption") if c["words"]][-1]

    async def freeze(self) -> dict[str, Any]:
        """Freeze the newest caption, and return it."""
        caption = await self.caption()
        self.peer.send({"type": "freeze", "seq": caption["seq"]})
        await self.peer.until(lambda: self.peer.received("frozen"))
        return caption

    def request(self, kind: str, request_id: int, seq: int, **fields: Any) -> None:
        """Send an `explain` or a `check`."""
        self.peer.send({"type": kind, "id": request_id, "seq": seq, **fields})

    def explain(self, request_id: int, seq: int, method: str = LONG) -> None:
        """Request the map of a whole caption."""
        self.request("explain", request_id, seq, method=method, of={"kind": "caption"})

    async def response(self, request_id: int) -> dict[str, Any]:
        """Wait for the final response to a request; it must be the only one."""
        await self.peer.until(lambda: self._responses(request_id), PATIENCE_S)
        (response,) = self._responses(request_id)
        return response

    def _responses(self, request_id: int) -> list[dict[str, Any]]:
        return [
            message
            for message in self.peer.messages
            if message.get("id") == request_id and message["type"] not in ("pong", "progress")
        ]


def check_all(peer: Peer) -> None:
    """Validate every message against the schema."""
    for message in peer.messages:
        SERVER_MESSAGE.validate(message)


async def until_idle(engine: Engine) -> None:
    async with asyncio.timeout(30):
        while engine.jobs:
            await asyncio.sleep(0.02)


async def test_a_frozen_caption_is_explained_and_checked(engine: Engine) -> None:
    async with live_sessions(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        requester = Requester(peer)
        stream = await connect(sessions, peer, "demo")
        caption = await requester.freeze()
        seq, live = caption["seq"], caption["maps"]
        assert live
        assert len(live["words"]) == len(caption["words"])
        assert peer.received("frozen")[0]["picture"] == f"/streams/{stream}/pictures/{seq}"

        # The strongest map: two encoders round differently, which matters to a weak one.
        index = int(np.argmax([word["peak"] for word in live["words"]]))
        target = {"kind": "word", "index": index}
        requester.request("explain", 0, seq, method=live["method"], of=target)
        requester.request("check", 1, seq, method=live["method"], index=index)
        requester.explain(2, seq)
        word, check = await requester.response(0), await requester.response(1)
        await peer.until(lambda: [p for p in peer.received("progress") if p["id"] == 2], PATIENCE_S)
        peer.send({"type": "cancel", "id": 2})
        cancelled = await requester.response(2)
        check_all(peer)

        expected, found = (Map.from_json(m).values for m in (live["words"][index], word["map"]))
        assert np.allclose(expected, found, atol=0.02 * float(expected.max()))
        assert (word["seq"], word["of"]) == (seq, target)
        assert abs(check["prob"] - caption["words"][index]["prob"]) < 0.05
        assert cancelled["code"] == "cancelled"
        assert {progress["id"] for progress in peer.received("progress")} <= {0, 1, 2}
        # It is kept, however many captions follow.
        await peer.until(
            lambda: peer.received("caption")[-1]["seq"] > seq + MAX_KEPT_FRAMES, PATIENCE_S
        )
        assert (await sessions.frame_jpeg(stream, seq))[:2] == b"\xff\xd8"
        requester.explain(3, seq, "gradcam")
        assert (await requester.response(3))["type"] == "explanation"
        peer.send({"type": "release"})
        requester.explain(4, seq, "gradcam")
        assert (await requester.response(4))["code"] == "gone"
        with pytest.raises(FrameNotFound):
            await sessions.frame_jpeg(stream, seq)
    await until_idle(engine)


async def test_impossible_requests_fail_with_their_id_and_the_session_continues(
    engine: Engine,
) -> None:
    async with live_sessions(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        requester = Requester(peer)
        await connect(sessions, peer, "demo")
        seq = (await requester.freeze())["seq"]
        requester.explain(0, seq, "unknown")
        requester.request("explain", 1, seq, method="gradcam", of={"kind": "word", "index": 99})
        requester.request("check", 2, seq, method="gradcam", index=99)
        requester.explain(3, 10**9)
        requester.request("explain", 4, seq, method="gradcam", of={"kind": "tag", "text": "xyzzy"})
        peer.send({"type": "freeze", "seq": 10**9})
        codes = [(await requester.response(request_id))["code"] for request_id in range(5)]
        await peer.until(lambda: [e for e in peer.received("error") if "id" not in e])
        check_all(peer)

        assert codes == ["cannot-explain"] * 3 + ["gone", "cannot-explain"]
        assert [e["code"] for e in peer.received("error") if "id" not in e] == ["gone"]
        seen = len(peer.received("caption"))
        await peer.until(lambda: len(peer.received("caption")) > seen)


async def test_running_requests_are_limited_and_have_distinct_ids(
    engine: Engine,
) -> None:
    async with live_sessions(engine, interval_s=0.5) as sessions, Peer(None) as peer:
        requester = Requester(peer)
        await connect(sessions, peer, "demo")
        seq = (await requester.freeze())["seq"]
        for request_id in range(5):
            requester.explain(request_id, seq)
        assert (await requester.response(4))["code"] == "busy"
        requester.explain(0, seq, "gradcam")
        assert (await requester.response(0))["code"] == "bad-message"
        for request_id in (1, 1, 77):
            peer.send({"type": "cancel", "id": request_id})
        assert (await requester.response(1))["code"] == "cancelled"
        requester.explain(5, seq, "gradcam")
        assert (await requester.response(5))["type"] == "explanation"
        # Captions continue meanwhile.
        seen = len(peer.received("caption"))
        await peer.until(lambda: len(peer.received("caption")) > seen)
        check_all(peer)
        assert engine.jobs
    await wait_until_empty(sessions)
    # All its requests end with the session.
    await until_idle(engine)


async def test_an_explanation_times_out(engine: Engine) -> None:
    async with live_sessions(engine, explanation_s=0.2) as sessions, Peer(None) as peer:
        requester = Requester(peer)
        await connect(sessions, peer, "demo")
        requester.explain(0, (await requester.freeze())["seq"])
        error = await requester.response(0)

        assert error["code"] == "cannot-explain"
        assert "longer than 0.2 s" in error["message"]
        await until_idle(engine)


async def test_the_maps_of_captions_can_be_chosen_at_any_time(engine: Engine) -> None:
    async with live_sessions(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        # A slow machine computes them for some captions only.
        await peer.until(lambda: any(each["maps"] for each in peer.received("caption")), 60)
        await peer.until(lambda: peer.received("explanation"), 120)
        live = peer.received("explanation")[0]
        assert (live["id"], live["method"], live["of"]) == (None, "saliency", {"kind": "caption"})
        captions = [message["seq"] for message in peer.received("caption")]
        assert live["seq"] in captions
        # Never before its caption.
        kinds = [(m["type"], m.get("seq")) for m in peer.messages]
        assert kinds.index(("caption", live["seq"])) < kinds.index(("explanation", live["seq"]))

        peer.send({"type": "configure", "explanations": "none"})
        await peer.until(lambda: peer.received("stats")[-1]["settings"]["explanations"] == "none")
        assert peer.received("stats")[-1]["explanations"] == {
            "words_every": 0,
            "saliency_every": 0,
        }
        seen = len(peer.received("caption"))
        await peer.until(lambda: len(peer.received("caption")) > seen + 2, 60)
        assert peer.received("caption")[-1]["maps"] is None
        check_all(peer)


async def test_an_unavailable_captioner_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> ExplanationResult:
        raise EngineUnavailable("the captioner's process ended")

    captions = ScriptedCaptions(confident_caption("A dog"))
    monkeypatch.setattr(captions, "explain", fail)
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        requester = Requester(peer)
        await connect(sessions, peer, "demo")
        requester.explain(0, (await requester.freeze())["seq"], "gradcam")
        error = await requester.response(0)
        check_all(peer)

        assert error["code"] == "captioner-paused"


def colour_of(frame: av.VideoFrame) -> NDArray[np.float64]:
    """Return the mean U and V of the upper half, where no caption is."""
    _, u, v = yuv_planes(frame)
    return np.array([plane[: len(plane) // 2].mean() for plane in (u, v)])


async def test_the_overlay_can_be_chosen_at_any_time() -> None:
    captions = ScriptedCaptions(confident_caption("A dog"))
    peak = cv2.cvtColor(COLORMAP[None, -1:], cv2.COLOR_RGB2YCrCb)[0, 0, [2, 1]].astype(float)
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.received("caption") and len(peer.frames) > 5)
        peer.send({"type": "configure", "explanations": "words"})
        await peer.until(lambda: peer.received("stats")[-1]["settings"]["explanations"] == "words")
        sent = len(peer.received("explanation"))
        distance = {}
        for overlay in ("none", "saliency", "none"):
            peer.send({"type": "configure", "overlay": overlay})
            await peer.until(
                lambda expected=overlay: (
                    peer.received("stats")[-1]["settings"]["overlay"] == expected
                )  # type: ignore[misc]
            )
            seen = len(peer.frames)
            await peer.until(lambda count=seen: len(peer.frames) > count + 30)  # type: ignore[misc]
            distance[overlay] = np.abs(colour_of(peer.frames[-1]) - peak).max()
        assert distance["none"] > 2 * distance["saliency"]
        # A map for the overlay only is not sent.
        assert len(peer.received("explanation")) == sent
        assert "saliency" in captions.explained_methods


async def test_a_session_leaves_no_frame_behind(engine: Engine) -> None:
    def held() -> int:
        gc.collect()
        return sum(isinstance(each, CaptionedFrame) for each in gc.get_objects())

    before = held()
    async with live_sessions(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        requester = Requester(peer)
        await connect(sessions, peer, "demo")
        seq = (await requester.freeze())["seq"]
        requester.explain(0, seq)
        await peer.until(
            lambda: peer.received("caption")[-1]["seq"] > seq + 2 * MAX_KEPT_FRAMES, 60
        )
        # One more frame may be on its way.
        assert before < held() <= before + MAX_KEPT_FRAMES + 2
        await peer.connection.close()
        await wait_until_empty(sessions)
        assert held() == before
        await until_idle(engine)


async def test_stream_ids_have_128_bits() -> None:
    captions = ScriptedCaptions(confident_caption("A dog"))
    async with live_sessions(captions) as sessions, Peer(None) as one, Peer(None) as two:
        ids = [await connect(sessions, peer, "demo") for peer in (one, two)]

    assert ids[0] != ids[1]
    # Base64 has six bits per character.
    assert all(len(each) == 22 for each in ids)
    with pytest.raises(SessionGone, match="does not exist"):
        await sessions.frame_jpeg(ids[0], 0)


def test_the_time_left_is_estimated_from_what_the_request_itself_advances(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, sent = 100.0, list[dict[str, Any]]()
    monkeypatch.setattr("stream.data_channel.requests.time", SimpleNamespace(monotonic=lambda: now))
    report = _progress_sender(7, cast(CaptionChannel, SimpleNamespace(send=sent.append)))

    # Another word's map has masked half of the copies.
    now = 100.1
    report(Progress(0.5, ""))
    now = 101.0
    report(Progress(0.6, ""))

    assert [(each["id"], each["done"]) for each in sent] == [(7, 0.6)]
    assert sent[0]["left_s"] == pytest.approx(4.0)
