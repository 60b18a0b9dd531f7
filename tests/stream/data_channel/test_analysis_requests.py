"""Analyses in sessions between two real peers."""

from typing import Any

import pytest

from inference.engine.service import Analysed, EngineUnavailable
from stream.captioning.stillness import MOST_PICTURES
from tests.stream.data_channel.test_explanation_requests import Viewer, check_all
from tests.stream.webrtc.test_sessions import connect
from tests.support.captions import ScriptedCaptions, sure
from tests.support.live import serving
from tests.support.peer import Peer


def analyze(viewer: Viewer, asked: int, seq: int, kind: str = "adversarial", **params: Any) -> None:
    message = {"type": "analyze", "id": asked, "seq": seq, "kind": kind, "params": params}
    viewer.peer.send(message)


def progress_of(peer: Peer, asked: int) -> list[dict[str, Any]]:
    return [each for each in peer.of_type("progress") if each["id"] == asked]


@pytest.fixture
def captions() -> ScriptedCaptions:
    """A service whose analyses wait until a test lets them finish."""
    captions = ScriptedCaptions(sure("A dog"))
    captions.may_finish.clear()
    return captions


async def test_an_analysis_is_named_at_once_told_of_and_its_result_is_where_it_was_named(
    captions: ScriptedCaptions,
) -> None:
    async with serving(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        seq = (await viewer.freeze())["seq"]
        hello = peer.of_type("hello")[-1]
        assert (hello["model"]["hardened"], hello["model"]["concepts"]) == (True, True)
        assert hello["limits"]["analyses"] == 2
        assert hello["limits"]["pictures"] == MOST_PICTURES
        analyze(viewer, 5, seq, norm="l2", say="cat")
        # It goes on although its picture is released.
        peer.send({"type": "release"})
        await peer.until(lambda: len(progress_of(peer, 5)) >= 3)
        first, *_, last = progress_of(peer, 5)
        assert first["done"] == 0
        assert (last["done"], last["doing"]) == (0.5, "Looking closely")
        assert last["left_s"] > 0
        captions.may_finish.set()
        result = await viewer.answer(5)
        check_all(peer)

        path = first["analysis"]
        assert {each["analysis"] for each in progress_of(peer, 5)} == {path}
        assert result == {
            "type": "result",
            "id": 5,
            "seq": seq,
            "kind": "adversarial",
            "analysis": path,
            "report": f"{path}/report.html",
            "data": f"{path}/report.json",
            "summary": list(captions.report.summary),
        }
        assert captions.analysed == [("adversarial", {"norm": "l2", "say": "cat"}, 0)]
        assert sessions.shared.analyses.find(path.rpartition("/")[2]).files == captions.report.files


async def test_what_cannot_be_is_refused_under_its_id_and_cancelling_makes_room(
    captions: ScriptedCaptions,
) -> None:
    async with (
        serving(captions, interval_s=0.25, analyses=2, messages_per_s=50) as sessions,
        Peer(None) as peer,
    ):
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        seq = (await viewer.freeze())["seq"]
        analyze(viewer, 0, 10**9)
        analyze(viewer, 1, seq, "ace", word="Two words")
        analyze(viewer, 2, seq)
        analyze(viewer, 3, seq, "ace")
        analyze(viewer, 4, seq)
        viewer.ask("explain", 2, seq, method="gradcam", of={"kind": "caption"})
        await peer.until(lambda: len([e for e in peer.of_type("error") if "id" in e]) >= 4)
        errors = {e["id"]: e for e in peer.of_type("error")}
        assert {asked: e["code"] for asked, e in errors.items()} == {
            0: "gone",
            1: "bad-message",
            2: "bad-message",
            4: "busy",
        }
        assert errors[1]["message"].startswith("params.word: ")
        assert "not answered yet" in errors[2]["message"]

        for asked in (3, 3, 77):
            peer.send({"type": "cancel", "id": asked})
        assert (await viewer.answer(3))["code"] == "cancelled"
        analyze(viewer, 6, seq)
        await peer.until(lambda: progress_of(peer, 6))
        captions.may_finish.set()
        assert (await viewer.answer(6))["type"] == "result"
        check_all(peer)


async def test_the_engines_death_is_told_and_leaves_nothing_behind(
    captions: ScriptedCaptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> Analysed:
        raise EngineUnavailable("the captioner's process ended")

    monkeypatch.setattr(captions, "analyse", die)
    async with serving(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        analyze(viewer, 0, (await viewer.freeze())["seq"])
        error = await viewer.answer(0)
        check_all(peer)
        path = progress_of(peer, 0)[0]["analysis"]
        told = sessions.shared.analyses.find(path.rpartition("/")[2]).to_json()

        assert (error["code"], error["message"]) == (
            "captioner-paused",
            "the captioner's process ended",
        )
        assert (told["state"], told["message"]) == ("failed", error["message"])


async def test_concepts_are_sought_in_what_the_stream_showed(captions: ScriptedCaptions) -> None:
    captions.may_finish.set()
    async with serving(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        viewer = Viewer(peer)
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.of_type("stats"))
        await peer.until(lambda: peer.of_type("stats")[-1]["pictures"] >= 2, 30)
        seq = (await viewer.freeze())["seq"]
        analyze(viewer, 0, seq, "ace", scope="frames", word="dog")
        analyze(viewer, 1, seq, "ace")
        await viewer.answer(0)
        await viewer.answer(1)
        check_all(peer)
        pictures = peer.of_type("stats")[-1]["pictures"]

    (_, asked, frames), (_, _, none) = sorted(captions.analysed, key=lambda each: -each[2])
    assert asked == {"scope": "frames", "word": "dog"}
    assert 2 <= frames <= pictures
    assert none == 0
