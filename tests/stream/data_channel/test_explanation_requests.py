"""Explanations in sessions between two real peers, by the real captioner."""

import asyncio
import gc
from typing import Any

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from inference.engine.engine import Engine
from inference.engine.service import EngineUnavailable, Explained
from inference.explanations.map import Map
from inference.explanations.rendering import COLOURS
from stream.captioning.kept_frames import KEPT, FrameGone
from stream.captioning.stream_captioner import CaptionedFrame
from stream.video.frame import planes
from stream.webrtc.sessions import SessionGone
from tests.stream.webrtc.test_sessions import SERVER_MESSAGE, connect, until_empty
from tests.support.captions import ScriptedCaptions, sure
from tests.support.live import serving
from tests.support.peer import Peer

LONG = "rise"


class Viewer:
    """A client that asks, and waits for the answers to what it asked."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    async def caption(self) -> dict[str, Any]:
        """The newest caption that has words."""
        await self.peer.until(lambda: [c for c in self.peer.of_type("caption") if c["words"]], 60)
        return [c for c in self.peer.of_type("caption") if c["words"]][-1]

    async def freeze(self) -> dict[str, Any]:
        """Freeze the newest caption; return it."""
        caption = await self.caption()
        self.peer.send({"type": "freeze", "seq": caption["seq"]})
        await self.peer.until(lambda: self.peer.of_type("frozen"))
        return caption

    def ask(self, kind: str, asked: int, seq: int, **what: Any) -> None:
        """Ask for an explanation or a check."""
        self.peer.send({"type": kind, "id": asked, "seq": seq, **what})

    def explain(self, asked: int, seq: int, method: str = LONG) -> None:
        """Ask for the map of a whole caption."""
        self.ask("explain", asked, seq, method=method, of={"kind": "caption"})

    async def answer(self, asked: int) -> dict[str, Any]:
        """Wait for the last word on what was asked; it must be the only one."""
        await self.peer.until(lambda: self._answers(asked), 60)
        (answer,) = self._answers(asked)
        return answer

    def _answers(self, asked: int) -> list[dict[str, Any]]:
        return [
            message
            for message in self.peer.messages
            if message.get("id") == asked and message["type"] not in ("pong", "progress")
        ]


def check_all(peer: Peer) -> None:
    """Hold every message to the schema."""
    for message in peer.messages:
        SERVER_MESSAGE.validate(message)


async def until_idle(engine: Engine) -> None:
    async with asyncio.timeout(30):
        while engine.jobs:
            await asyncio.sleep(0.02)


async def test_a_frozen_caption_is_explained_and_checked(engine: Engine) -> None:
    async with serving(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        stream = await connect(sessions, peer, "demo")
        caption = await viewer.freeze()
        seq, live = caption["seq"], caption["maps"]
        assert live
        assert len(live["words"]) == len(caption["words"])
        assert peer.of_type("frozen")[0]["picture"] == f"/streams/{stream}/pictures/{seq}"

        viewer.ask("explain", 0, seq, method=live["method"], of={"kind": "word", "index": 0})
        viewer.ask("check", 1, seq, method=live["method"], index=0)
        viewer.explain(2, seq)
        word, check = await viewer.answer(0), await viewer.answer(1)
        await peer.until(lambda: [p for p in peer.of_type("progress") if p["id"] == 2], 60)
        peer.send({"type": "cancel", "id": 2})
        cancelled = await viewer.answer(2)
        check_all(peer)

        expected, found = (Map.from_json(m).values for m in (live["words"][0], word["map"]))
        assert np.allclose(expected, found, atol=0.02 * float(expected.max()))
        assert (word["seq"], word["of"]) == (seq, {"kind": "word", "index": 0})
        assert abs(check["prob"] - caption["words"][0]["prob"]) < 0.05
        assert cancelled["code"] == "cancelled"
        assert {progress["id"] for progress in peer.of_type("progress")} <= {0, 1, 2}
        # It stays, however many captions come.
        await peer.until(lambda: peer.of_type("caption")[-1]["seq"] > seq + KEPT, 60)
        assert (await sessions.picture(stream, seq))[:2] == b"\xff\xd8"
        viewer.explain(3, seq, "gradcam")
        assert (await viewer.answer(3))["type"] == "explanation"
        peer.send({"type": "release"})
        viewer.explain(4, seq, "gradcam")
        assert (await viewer.answer(4))["code"] == "gone"
        with pytest.raises(FrameGone):
            await sessions.picture(stream, seq)
    await until_idle(engine)


async def test_what_cannot_be_is_refused_under_its_id_and_the_session_goes_on(
    engine: Engine,
) -> None:
    async with serving(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        seq = (await viewer.freeze())["seq"]
        viewer.explain(0, seq, "guesswork")
        viewer.ask("explain", 1, seq, method="gradcam", of={"kind": "word", "index": 99})
        viewer.ask("check", 2, seq, method="gradcam", index=99)
        viewer.explain(3, 10**9)
        viewer.ask("explain", 4, seq, method="gradcam", of={"kind": "tag", "text": "xyzzy"})
        peer.send({"type": "freeze", "seq": 10**9})
        codes = [(await viewer.answer(asked))["code"] for asked in range(5)]
        await peer.until(lambda: [e for e in peer.of_type("error") if "id" not in e])
        check_all(peer)

        assert codes == ["cannot-explain"] * 3 + ["gone", "cannot-explain"]
        assert [e["code"] for e in peer.of_type("error") if "id" not in e] == ["gone"]
        seen = len(peer.of_type("caption"))
        await peer.until(lambda: len(peer.of_type("caption")) > seen)


async def test_so_many_at_once_and_no_id_twice_and_a_cancelled_one_makes_room(
    engine: Engine,
) -> None:
    async with serving(engine, interval_s=0.5) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        seq = (await viewer.freeze())["seq"]
        for asked in range(5):
            viewer.explain(asked, seq)
        assert (await viewer.answer(4))["code"] == "busy"
        viewer.explain(0, seq, "gradcam")
        assert (await viewer.answer(0))["code"] == "bad-message"
        for asked in (1, 1, 77):
            peer.send({"type": "cancel", "id": asked})
        assert (await viewer.answer(1))["code"] == "cancelled"
        viewer.explain(5, seq, "gradcam")
        assert (await viewer.answer(5))["type"] == "explanation"
        # Captions came all the while.
        seen = len(peer.of_type("caption"))
        await peer.until(lambda: len(peer.of_type("caption")) > seen)
        check_all(peer)
        assert engine.jobs
    await until_empty(sessions)
    # With the session all ends that it had begun.
    await until_idle(engine)


async def test_an_explanation_may_take_so_long_and_no_longer(engine: Engine) -> None:
    async with serving(engine, explanation_s=0.2) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        viewer.explain(0, (await viewer.freeze())["seq"])
        error = await viewer.answer(0)

        assert error["code"] == "cannot-explain"
        assert "longer than 0.2 s" in error["message"]
        await until_idle(engine)


async def test_what_comes_with_captions_is_chosen_while_it_runs(engine: Engine) -> None:
    async with serving(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        assert (await viewer.caption())["maps"]
        await peer.until(lambda: peer.of_type("explanation"), 120)
        live = peer.of_type("explanation")[0]
        assert (live["id"], live["method"], live["of"]) == (None, "saliency", {"kind": "caption"})
        captions = [message["seq"] for message in peer.of_type("caption")]
        assert live["seq"] in captions
        # Never before the caption that it is of.
        kinds = [(m["type"], m.get("seq")) for m in peer.messages]
        assert kinds.index(("caption", live["seq"])) < kinds.index(("explanation", live["seq"]))

        peer.send({"type": "configure", "explanations": "none"})
        await peer.until(lambda: peer.of_type("stats")[-1]["settings"]["explanations"] == "none")
        assert peer.of_type("stats")[-1]["explanations"] == {
            "gradcam_every": 0,
            "saliency_every": 0,
        }
        seen = len(peer.of_type("caption"))
        await peer.until(lambda: len(peer.of_type("caption")) > seen + 2, 60)
        assert peer.of_type("caption")[-1]["maps"] is None
        check_all(peer)


async def test_a_captioner_that_is_away_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: object, **__: object) -> Explained:
        raise EngineUnavailable("the captioner's process ended")

    captions = ScriptedCaptions(sure("A dog"))
    monkeypatch.setattr(captions, "explain", fail)
    async with serving(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        viewer.explain(0, (await viewer.freeze())["seq"], "gradcam")
        error = await viewer.answer(0)
        check_all(peer)

        assert error["code"] == "captioner-paused"


def colour_of(picture: av.VideoFrame) -> NDArray[np.float64]:
    """Mean U and V over the upper half, where no caption is."""
    _, u, v = planes(picture)
    return np.array([plane[: len(plane) // 2].mean() for plane in (u, v)])


async def test_the_returned_video_shows_what_is_chosen_while_it_runs() -> None:
    captions = ScriptedCaptions(sure("A dog"))
    peak = cv2.cvtColor(COLOURS[None, -1:], cv2.COLOR_RGB2YCrCb)[0, 0, [2, 1]].astype(float)
    async with serving(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.of_type("caption") and len(peer.pictures) > 5)
        peer.send({"type": "configure", "explanations": "gradcam"})
        await peer.until(lambda: peer.of_type("stats")[-1]["settings"]["explanations"] == "gradcam")
        sent = len(peer.of_type("explanation"))
        distance = {}
        for overlay in ("none", "saliency", "none"):
            peer.send({"type": "configure", "overlay": overlay})
            await peer.until(
                lambda wanted=overlay: peer.of_type("stats")[-1]["settings"]["overlay"] == wanted  # type: ignore[misc]
            )
            seen = len(peer.pictures)
            await peer.until(lambda many=seen: len(peer.pictures) > many + 30)  # type: ignore[misc]
            distance[overlay] = np.abs(colour_of(peer.pictures[-1]) - peak).max()
        assert distance["none"] > 2 * distance["saliency"]
        # What only the video shows is not sent.
        assert len(peer.of_type("explanation")) == sent
        assert "saliency" in captions.explained


async def test_a_session_leaves_no_picture_behind(engine: Engine) -> None:
    def held() -> int:
        gc.collect()
        return sum(isinstance(each, CaptionedFrame) for each in gc.get_objects())

    before = held()
    async with serving(engine, interval_s=0.25) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        seq = (await viewer.freeze())["seq"]
        viewer.explain(0, seq)
        await peer.until(lambda: peer.of_type("caption")[-1]["seq"] > seq + 2 * KEPT, 60)
        # And the newest may be on its way.
        assert before < held() <= before + KEPT + 2
        await peer.connection.close()
        await until_empty(sessions)
        assert held() == before
        await until_idle(engine)


async def test_stream_ids_cannot_be_guessed() -> None:
    captions = ScriptedCaptions(sure("A dog"))
    async with serving(captions) as sessions, Peer(None) as one, Peer(None) as two:
        ids = [await connect(sessions, peer, "demo") for peer in (one, two)]

    assert ids[0] != ids[1]
    # 128 bits in six bits a character.
    assert all(len(each) == 22 for each in ids)
    with pytest.raises(SessionGone, match="no such session"):
        await sessions.picture(ids[0], 0)
