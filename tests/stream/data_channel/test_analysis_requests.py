"""Tests of analysis requests between two real peers."""

from typing import Any

import pytest

from inference.engine.service import AnalysisResult, EngineUnavailable
from stream.captioning.stillness import MAX_RECENT_FRAMES
from tests.stream.data_channel.test_explanation_requests import Requester, check_all
from tests.support.captions import ScriptedCaptions, confident_caption
from tests.support.live_sessions import connect, live_sessions
from tests.support.peer import Peer


def analyze(
    requester: Requester, request_id: int, seq: int, kind: str = "adversarial", **params: Any
) -> None:
    message = {"type": "analyze", "id": request_id, "seq": seq, "kind": kind, "params": params}
    requester.peer.send(message)


def progress_of(peer: Peer, request_id: int) -> list[dict[str, Any]]:
    return [each for each in peer.received("progress") if each["id"] == request_id]


@pytest.fixture
def captions() -> ScriptedCaptions:
    """A caption service whose analyses wait until the test lets them finish."""
    captions = ScriptedCaptions(confident_caption("A dog"))
    captions.finish_analyses.clear()
    return captions


async def test_an_analysis_has_a_path_progress_and_a_result(
    captions: ScriptedCaptions,
) -> None:
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        requester = Requester(peer)
        await connect(sessions, peer, "demo")
        seq = (await requester.freeze())["seq"]
        hello = peer.received("hello")[-1]
        assert (hello["model"]["hardened"], hello["model"]["concepts"]) == (True, True)
        assert hello["limits"]["analyses"] == 2
        assert hello["limits"]["pictures"] == MAX_RECENT_FRAMES
        analyze(requester, 5, seq, norm="l2", say="cat")
        # It continues although its frame is released.
        peer.send({"type": "release"})
        await peer.until(lambda: len(progress_of(peer, 5)) >= 3)
        first, *_, last = progress_of(peer, 5)
        assert first["done"] == 0
        assert (last["done"], last["doing"]) == (0.5, "Looking closely")
        assert last["left_s"] > 0
        captions.finish_analyses.set()
        result = await requester.response(5)
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
        assert captions.analyses == [("adversarial", {"norm": "l2", "say": "cat"}, 0)]
        assert (
            sessions.context.analyses.find(path.rpartition("/")[2]).files == captions.report.files
        )


async def test_impossible_requests_fail_with_their_id_and_cancelling_makes_room(
    captions: ScriptedCaptions,
) -> None:
    async with (
        live_sessions(captions, interval_s=0.25, analyses=2, messages_per_s=50) as sessions,
        Peer(None) as peer,
    ):
        requester = Requester(peer)
        await connect(sessions, peer, "demo")
        seq = (await requester.freeze())["seq"]
        analyze(requester, 0, 10**9)
        analyze(requester, 1, seq, "ace", word="Two words")
        analyze(requester, 2, seq)
        analyze(requester, 3, seq, "ace")
        analyze(requester, 4, seq)
        requester.request("explain", 2, seq, method="gradcam", of={"kind": "caption"})
        await peer.until(lambda: len([e for e in peer.received("error") if "id" in e]) >= 4)
        errors = {e["id"]: e for e in peer.received("error")}
        assert {request_id: e["code"] for request_id, e in errors.items()} == {
            0: "gone",
            1: "bad-message",
            2: "bad-message",
            4: "busy",
        }
        assert errors[1]["message"].startswith("params.word: ")
        assert "already in use" in errors[2]["message"]

        for request_id in (3, 3, 77):
            peer.send({"type": "cancel", "id": request_id})
        assert (await requester.response(3))["code"] == "cancelled"
        analyze(requester, 6, seq)
        await peer.until(lambda: progress_of(peer, 6))
        captions.finish_analyses.set()
        assert (await requester.response(6))["type"] == "result"
        check_all(peer)


async def test_the_engines_death_fails_the_request(
    captions: ScriptedCaptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(*_: object) -> AnalysisResult:
        raise EngineUnavailable("the captioner's process ended")

    monkeypatch.setattr(captions, "analyse", die)
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        requester = Requester(peer)
        await connect(sessions, peer, "demo")
        analyze(requester, 0, (await requester.freeze())["seq"])
        error = await requester.response(0)
        check_all(peer)
        path = progress_of(peer, 0)[0]["analysis"]
        state = sessions.context.analyses.find(path.rpartition("/")[2]).to_json()

        assert (error["code"], error["message"]) == (
            "captioner-paused",
            "the captioner's process ended",
        )
        assert (state["state"], state["message"]) == ("failed", error["message"])


async def test_concepts_are_found_in_the_streams_recent_frames(captions: ScriptedCaptions) -> None:
    captions.finish_analyses.set()
    async with live_sessions(captions, interval_s=0.25) as sessions, Peer(None) as peer:
        requester = Requester(peer)
        await connect(sessions, peer, "demo")
        await peer.until(lambda: peer.received("stats"))
        await peer.until(lambda: peer.received("stats")[-1]["pictures"] >= 2, 30)
        seq = (await requester.freeze())["seq"]
        analyze(requester, 0, seq, "ace", scope="frames", word="dog")
        analyze(requester, 1, seq, "ace")
        await requester.response(0)
        await requester.response(1)
        check_all(peer)
        pictures = peer.received("stats")[-1]["pictures"]

    (_, params, frames), (_, _, none) = sorted(captions.analyses, key=lambda each: -each[2])
    assert params == {"scope": "frames", "word": "dog"}
    assert 2 <= frames <= pictures
    assert none == 0
