"""The API of rules: edits, firings and the dry run."""

import asyncio
import json
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from stream.captioning import CaptionEvent
from tests.support.captions import ScriptedCaptions, caption_event, confident_caption
from tests.support.servers.feed_app import Client, get_publications, serve_feeds

ADMIN, VIEWER = {"Authorization": f"Bearer {'a' * 20}"}, {"Authorization": f"Bearer {'v' * 20}"}
TOKENS = {"admin_token": "a" * 20, "viewer_token": "v" * 20}
DOGS = {"any": ["dog"], "present_s": 0, "message": "{words} at {feed}"}


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the states of rules out of the user's folder."""
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


async def listed(client: Client) -> dict[str, Any]:
    body = await (await client.get("/api/rules", headers=VIEWER)).json()
    return {rule["name"]: rule for rule in body["rules"]}


async def test_an_admin_edits_rules_that_take_effect_at_once(tmp_path: Path) -> None:
    file = tmp_path / "config" / "rules.toml"
    settings: dict[str, Any] = {
        "rules": {"cats": {"any": ["cat"]}},
        "rules_file": file,
        "access": TOKENS,
    }
    async with serve_feeds(**settings) as client:
        put = await client.put("/api/rules/dogs", json=DOGS, headers=ADMIN)
        assert put.status == 200
        assert (await put.json())["settings"]["present_s"] == 0
        async with asyncio.timeout(10):
            while not (await listed(client))["dogs"]["on"]:
                await asyncio.sleep(0.05)
        body = await (await client.get("/api/rules", headers=VIEWER)).json()
        assert [each["message"] for each in body["lasting"]] == ["dog at yard"]
        assert (body["read_only"], body["history"]) == (None, False)
        rules = await listed(client)
        assert (rules["cats"]["origin"], rules["dogs"]["origin"]) == ("configuration", "page")
        assert rules["dogs"]["fired"] == 1
        assert tomllib.loads(file.read_text())["rules"] == {"dogs": DOGS}

        for method in ("put", "delete"):
            refused = await client.request(method, "/api/rules/cats", json=DOGS, headers=ADMIN)
            assert refused.status == 409
        assert (await client.delete("/api/rules/dogs", headers=ADMIN)).status == 204
        assert (await client.delete("/api/rules/dogs", headers=ADMIN)).status == 404
        assert (await listed(client)).keys() == {"cats"}
        assert get_publications(client).rules.lasting == {}


async def test_viewers_see_rules_and_change_nothing(tmp_path: Path) -> None:
    async with serve_feeds(rules_file=tmp_path / "rules.toml", access=TOKENS) as client:
        for method, path in (
            ("PUT", "/api/rules/dogs"),
            ("DELETE", "/api/rules/dogs"),
            ("POST", "/api/dry-run"),
        ):
            response = await client.request(method, path, json=DOGS, headers=VIEWER)
            assert response.status == 403
        assert (await client.get("/api/rules")).status == 401
        assert (await client.get("/api/firings")).status == 401


WRONG = [
    (b"{", "JSON"),
    (b"[]", "an object"),
    (b'{"any": ["dog"], "seconds": 3}', "'seconds'"),
    (b'{"any": ["dog"], "present_s": "3"}', "'present_s'"),
    (b'{"any": "dog"}', "'any'"),
    (b'{"any": ["dog"], "message": "{name}"}', "fields: {rule}"),
    (b'{"any": ["dog"], "confidence": NaN}', "'confidence'"),
    (b"[" * 30_000, "JSON"),
]


async def test_wrong_rules_are_rejected(tmp_path: Path) -> None:
    async with serve_feeds(feeds={}, rules_file=tmp_path / "rules.toml") as client:
        for body, reason in WRONG:
            response = await client.put("/api/rules/dogs", data=body)
            assert response.status == 400
            assert reason in (await response.json())["error"]["message"]
        assert not (tmp_path / "rules.toml").exists()


async def test_without_a_configuration_file_rules_are_read_only() -> None:
    async with serve_feeds(feeds={}) as client:
        assert "--config FILE" in (await (await client.get("/api/rules")).json())["read_only"]
        assert (await client.put("/api/rules/dogs", json=DOGS)).status == 409
        assert (await client.get("/api/firings")).status == 404
        tried = await client.post("/api/dry-run", json={"settings": DOGS})
        assert (await tried.json())["error"]["code"] == "history-off"


def past_captions() -> list[CaptionEvent]:
    """Two dogs yesterday, an hour apart, each for a minute."""
    now, events = time.time(), list[CaptionEvent]()
    for second in range(0, 7200, 20):
        text = "Two dogs run" if second % 3600 < 60 else "A cat sits"
        event = caption_event(text, now - 20_000 - 1.7e9 + second, "door", second)
        events.append(event)
    return events


async def test_a_dry_run_says_when_a_rule_would_have_fired(tmp_path: Path) -> None:
    async with serve_feeds(feeds={}, history={"path": tmp_path / "history.sqlite"}) as client:
        # The last one shows that all are stored.
        events = [*past_captions(), caption_event("The end", time.time() - 1.7e9)]
        for event in events:
            get_publications(client).captions.publish(event)
        async with asyncio.timeout(20):
            while not (await (await client.get("/api/history/search?q=end")).json())["spans"]:
                await asyncio.sleep(0.05)
        settings = {**DOGS, "present_s": 30}
        tried = await client.post("/api/dry-run", json={"name": "dogs", "settings": settings})
        found = await tried.json()
        assert tried.status == 200
        began = [events[0].captured + 30, events[180].captured + 30]
        assert [each["began"] for each in found["firings"]] == pytest.approx(began, abs=0.01)
        assert (found["count"], found["suppressed"]) == (2, 0)
        assert found["firings"][0]["message"] == "dog at door"

        later = {"settings": settings, "from": began[0] + 600, "to": time.time()}
        found = await (await client.post("/api/dry-run", json=later)).json()
        assert found["count"] == 1
        turned = {"settings": settings, "from": 20, "to": 10}
        assert (await client.post("/api/dry-run", json=turned)).status == 400
        # It changes nothing.
        assert (await listed(client)) == {}


async def test_firings_are_listed_in_pages(tmp_path: Path) -> None:
    captions = ScriptedCaptions(confident_caption("A dog runs"))
    settings = {
        "history": {"path": tmp_path / "history.sqlite"},
        "rules": {"dogs": {**DOGS, "absent_s": 0, "cool_down_s": 0}},
    }
    async with serve_feeds(captions, **settings) as client:
        for text in ("A cat sits", "A dog runs", "A cat sits"):
            captions.caption = confident_caption(text)
            on = ["yard"] if "dog" in text else []
            async with asyncio.timeout(10):
                while (await listed(client))["dogs"]["on"] != on:
                    await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        page = await (await client.get("/api/firings?rule=dogs&feed=yard&limit=1")).json()
        assert page["firings"][0]["ended"] >= page["firings"][0]["began"]
        rest = await (await client.get(f"/api/firings?before={page['before']}")).json()
        assert (len(rest["firings"]), rest["before"]) == (1, None)
        for query in ("rule=The+Dogs", "limit=0", "colour=red", "from=never"):
            assert (await client.get(f"/api/firings?{query}")).status == 400


async def test_states_survive_a_restart_of_the_server(tmp_path: Path) -> None:
    history = {"path": tmp_path / "history.sqlite"}
    for _ in range(2):
        async with serve_feeds(history=history, rules={"dogs": DOGS}) as client:
            async with asyncio.timeout(10):
                while not (await listed(client))["dogs"]["on"]:
                    await asyncio.sleep(0.05)
            found = await (await client.get("/api/firings")).json()
    assert len(found["firings"]) == 1
    assert json.loads((tmp_path / "history.sqlite.rules.json").read_text())["dogs"]["feeds"]
