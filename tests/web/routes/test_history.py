"""The routes of the history."""

import asyncio
import csv
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientPayloadError

from stream.captioning import CaptionEvent
from stream.history import HistoryError, HistoryQuery
from stream.history.reader import HistoryReader
from stream.history.span import Span
from stream.quota import Owner
from tests.support.captions import (
    BASE_TIME,
    caption_event,
    confident_caption,
    tags_fallback,
    uncalibrated_caption,
)
from tests.support.servers.feed_app import Client, serve_feeds
from web.keys import HISTORY, PUBLICATIONS

ROOT = Path(__file__).parents[3]
DOG = confident_caption("A dog runs", dog=0.9)
FORMULA = uncalibrated_caption("=SUM(A1), “a man”")
CAPTIONS = [DOG, DOG, FORMULA, tags_fallback("Two dogs", laptop=0.9)]


@asynccontextmanager
async def serving_history(tmp_path: Path, **settings: Any) -> AsyncIterator[Client]:
    """Serve a history of captions 10 s apart, without feeds."""
    history = {"path": tmp_path / "history.sqlite", "days": 36_500}
    async with serve_feeds(feeds={}, history=history, **settings) as client:
        for number, caption in enumerate(CAPTIONS):
            for feed in ("yard", "door"):
                publish(client, caption_event(caption, 10 * number, feed))
        await until_written(client, 6)
        yield client


def publish(client: Client, caption_event: CaptionEvent) -> None:
    assert client.app
    client.app[PUBLICATIONS].captions.publish(caption_event)


async def until_written(client: Client, count: int) -> None:
    assert client.app
    async with asyncio.timeout(20):
        while client.app[HISTORY].spans < count:
            await asyncio.sleep(0.005)


async def get(client: Client, path: str) -> Any:
    async with client.get(f"/api/history/{path}") as response:
        assert response.status == 200, await response.text()
        assert response.headers["Cache-Control"] == "no-store"
        return await response.json()


async def test_without_a_path_the_history_is_off() -> None:
    async with serve_feeds(feeds={}) as client:
        for path in ("search", "timeline", "summary", "export?format=csv"):
            async with client.get(f"/api/history/{path}") as response:
                assert response.status == 404
                assert (await response.json())["error"]["code"] == "history-off"
        async with client.delete("/api/history?all=true") as response:
            assert response.status == 404


async def test_a_question_is_searched_by_its_content_words(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        found = (await get(client, "search?q=when+was+there+a+dog&feed=yard"))["spans"]

        assert [span["said"] for span in found] == ["Laptop", "A dog runs"]
        assert found[1] == {
            "id": int(BASE_TIME * 1e6),
            "feed": "yard",
            "from": BASE_TIME,
            "to": BASE_TIME + 20,
            "captions": 2,
            "text": "A dog runs",
            "said": "A dog runs",
            "confidence": 0.72,
            "fallback": None,
            "guess": "",
            "tags": [{"text": "dog", "prob": 0.9}],
            "picture": None,
            "match": "exact",
        }


async def test_a_history_in_postgresql_answers_as_one_in_a_file(
    tmp_path: Path, database_url: str
) -> None:
    cluster = {"database": database_url}
    requests = [
        *("search?q=dog", "search?q=-dog+OR+laptop&limit=2", f"search?to={BASE_TIME + 20}"),
        f"timeline?q=dog&from={BASE_TIME}&to={BASE_TIME + 40}&buckets=4",
        f"summary?from={BASE_TIME}&to={BASE_TIME + 40}&hours=true",
        *(f"export?format={name}" for name in ("vtt", "srt", "csv", "jsonl")),
        *("search?feed=%00", "search?q=%00", "search?q=%22"),
    ]
    answers = []
    async with (
        serving_history(tmp_path) as of_file,
        serving_history(tmp_path, cluster=cluster) as of_database,
    ):
        for client in (of_file, of_database):
            answers.append([await read(client, request) for request in requests])
            async with client.delete("/api/history?feed=door") as response:
                assert await response.json() == {"deleted": 3}
            assert {each["feed"] for each in (await get(client, "search"))["spans"]} == {"yard"}

    assert answers[0] == answers[1]
    assert [status for status, _ in answers[1]] == [200] * 9 + [400] * 3


async def read(client: Client, path: str) -> tuple[int, str]:
    async with client.get(f"/api/history/{path}") as response:
        return response.status, await response.text()


async def test_times_are_seconds_or_rfc_3339(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        for begin in (BASE_TIME + 25, "2023-11-14T22:13:45Z", "2023-11-14T23:13:45%2B01:00"):
            found = await get(client, f"search?feed=yard&from={begin}")
            assert [span["from"] for span in found["spans"]] == [BASE_TIME + 30, BASE_TIME + 20]
        found = await get(client, f"search?feed=yard&to={BASE_TIME + 20}")
        assert [span["from"] for span in found["spans"]] == [BASE_TIME]


async def test_pages_are_consecutive(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        seen, query = [], ""
        while True:
            page = await get(client, f"search?limit=4{query}")
            seen += [span["id"] for span in page["spans"]]
            if page["before"] is None:
                break
            query = f"&before={page['before']}"
        assert len(seen) == len(set(seen)) == 6
        assert seen == sorted(seen, reverse=True)


async def test_the_timeline_has_buckets_of_equal_length(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        line = await get(client, f"timeline?q=dog&from={BASE_TIME}&to={BASE_TIME + 40}&buckets=4")

        assert line["feeds"] == ["door", "yard"]
        assert [bucket["spans"] for bucket in line["buckets"]] == [2, 0, 0, 2]
        assert line["buckets"][0]["words"][0]["text"] in ("dog", "runs")


async def pages(client: Client, path: str) -> list[tuple[str, str]]:
    """Return the spans of all pages: what was said, and how it fits."""
    found: list[tuple[str, str]] = []
    following: str | None = f"{path}&match=all"
    while following:
        body = await get(client, following)
        found += [(span["said"], span["match"]) for span in body["spans"]]
        match, before = body["next_match"], body["before"]
        following = before and f"{path}&match={match}&before={before}"
    return found


async def test_results_are_exact_first_and_then_similar_page_by_page(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        partial = await pages(client, "search?q=guy+runs+pup&limit=1")
        # The similar ones are before and after the exact ones.
        mixed = [await pages(client, f"search?q=man+OR+pup&limit={limit}") for limit in (1, 2, 50)]
        exact = await get(client, "search?q=dogs&match=exact")
        similar = await get(client, "search?q=puppies&match=all")
        counted = await get(client, "timeline?q=puppies&match=all&buckets=1")
        async with client.get("/api/history/export?format=jsonl&q=puppies&match=all") as response:
            exported = len((await response.text()).splitlines())

    assert partial == [("A dog runs", "partial")] * 2
    similar_to_pup = [("Laptop", "similar")] * 2 + [("A dog runs", "similar")] * 2
    assert mixed == [[("=SUM(A1), “a man”", "exact")] * 2 + similar_to_pup] * 3
    assert {span["match"] for span in exact["spans"]} == {"exact"} and exact["synonyms"] == []
    assert {span["match"] for span in similar["spans"]} == {"similar"}
    assert "dog" in similar["synonyms"]
    assert len(similar["spans"]) == counted["buckets"][0]["spans"] == exported == 4


async def test_a_summary_is_of_the_period_that_is_asked_for(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        period = f"from={BASE_TIME}&to={BASE_TIME + 3600}"
        body = await get(client, f"summary?{period}&feed=yard&hours=true")
        every_feed = await get(client, f"summary?{period}")
        before = await get(client, f"summary?to={BASE_TIME}")

    (yard,) = body["feeds"]
    assert yard["text"] == "30 s of captions. Dog: 20 s. Man: 10 s. Laptop: 1 caption."
    assert [hour["text"] for hour in yard["hours"]] == [yard["text"]]
    assert [feed["feed"] for feed in every_feed["feeds"]] == ["door", "yard"]
    assert before == {"from": BASE_TIME - 3600, "to": BASE_TIME, "feeds": []}


@pytest.mark.parametrize(
    "path",
    [
        "search?q=",
        "search?q=%3F",
        "search?limit=501",
        "search?limit=1.5",
        "search?before=-1",
        "search?from=yesterday",
        "search?from=1e400",
        "search?from=9999-99-99",
        "search?from=2&to=1",
        "search?feed=Not a name",
        "search?feed=",
        "search?query=dog",
        "search?q=dog&match=any",
        "timeline?q=dog&match=similar",
        "timeline?buckets=0",
        "timeline?buckets=201",
        "summary?hours=1",
        "summary?q=dog",
        "summary?from=0",
        f"summary?from={BASE_TIME}&to={BASE_TIME + 50 * 3600}&hours=true",
        "export",
        "export?format=xml",
    ],
)
async def test_an_invalid_query_is_refused_with_the_reason(tmp_path: Path, path: str) -> None:
    history = {"path": tmp_path / "history.sqlite"}
    async with (
        serve_feeds(feeds={}, history=history) as client,
        client.get(f"/api/history/{path}") as response,
    ):
        assert response.status == 400
        error = (await response.json())["error"]
    assert error["code"] == "bad-request" and error["message"]


async def exported(client: Client, query: str) -> tuple[str, str]:
    async with client.get(f"/api/history/export?{query}") as response:
        assert response.status == 200
        form = re.search(r"format=(\w+)", query)
        assert form and f"sightline.{form[1]}" in response.headers["Content-Disposition"]
        return response.content_type, (await response.read()).decode()


async def test_export_as_subtitles(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        kind, vtt = await exported(client, "format=vtt&feed=yard")
        _, both = await exported(client, f"format=vtt&from={BASE_TIME - 60}")
        srt_kind, srt = await exported(client, "format=srt&feed=yard")

    assert (kind, srt_kind) == ("text/vtt", "application/x-subrip")
    assert vtt == (
        "WEBVTT\n\nNOTE 00:00:00.000 is 2023-11-14T22:13:20.000+00:00\n"
        "\n00:00:00.000 --> 00:00:20.000\nA dog runs\n"
        "\n00:00:20.000 --> 00:00:30.000\n=SUM(A1), “a man”\n"
        "\n00:00:30.000 --> 00:00:31.000\nLaptop\n"
    )
    assert "\n00:01:00.000 --> 00:01:20.000\nyard: A dog runs\n" in both
    assert srt == (
        "1\r\n00:00:00,000 --> 00:00:20,000\r\nA dog runs\r\n\r\n"
        "2\r\n00:00:20,000 --> 00:00:30,000\r\n=SUM(A1), “a man”\r\n\r\n"
        "3\r\n00:00:30,000 --> 00:00:31,000\r\nLaptop\r\n\r\n"
    )


async def test_exported_subtitles_of_a_feed_never_overlap(tmp_path: Path) -> None:
    # Captions less than the shortest subtitle apart, a clock that is set back, and a long caption.
    times = [0, 0.3, 0.6, 0.9, 1.9, 5, 30, 55, 80, 81]
    history = {"path": tmp_path / "history.sqlite", "days": 36_500}
    async with serve_feeds(feeds={}, history=history) as client:
        for number, at in enumerate(times):
            for feed in ("yard", "door"):
                event = caption_event(f"Frame {number}", at, feed)
                step_s = -60 if at > 60 else 0
                publish(client, replace(event, captured=event.captured + step_s))
        await until_written(client, 2 * len(times))
        _, vtt = await exported(client, "format=vtt")
        _, srt = await exported(client, "format=srt")

    for text in (vtt, srt.replace(",", ".").replace("\r", "")):
        cues = re.findall(r"(\S+) --> (\S+)\n(\w+): (Frame \d)\n", text)
        assert [begin for begin, *_ in cues] == sorted(begin for begin, *_ in cues)
        for feed in ("yard", "door"):
            of_feed = [(begin, end) for begin, end, name, _ in cues if name == feed]
            assert len(of_feed) == len(times)
            assert all(begin < end for begin, end in of_feed)
            assert all(end <= later for (_, end), (later, _) in pairwise(of_feed))
    assert "\n00:00:00.000 --> 00:00:00.300\nyard: Frame 0\n" in vtt
    assert "\n00:00:21.000 --> 00:00:22.000\nyard: Frame 9\n" in vtt


async def test_export_as_csv_without_formulas(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        _, text = await exported(client, "format=csv&feed=yard")

    assert text.count("\r\n") == 4 == text.count("\n")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["from"] == "2023-11-14T22:13:20.000+00:00"
    assert [row["said"] for row in rows][:2] == ["A dog runs", "'=SUM(A1), “a man”"]
    assert (rows[0]["tags"], rows[2]["guess"]) == ("dog 90%", "Two dogs")
    assert [row["confidence"] for row in rows] == ["0.7200", "", "0.3100"]


async def test_export_as_json_lines(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        _, text = await exported(client, "format=jsonl&feed=yard&q=dog")
        _, uncalibrated = await exported(client, "format=jsonl&feed=yard&q=man")

    spans = [json.loads(line) for line in text.splitlines()]
    assert [span["said"] for span in spans] == ["A dog runs", "Laptop"]
    assert json.loads(uncalibrated)["confidence"] is None


async def test_a_failed_export_is_an_incomplete_response(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving_history(tmp_path) as client:
        assert client.app
        original = client.app[HISTORY].pages

        async def failing(query: HistoryQuery, owner: Owner) -> AsyncIterator[list[Span]]:
            async for page in original(query, owner):
                yield page
            raise HistoryError("the disk is gone")

        monkeypatch.setattr(client.app[HISTORY], "pages", failing)
        async with client.get("/api/history/export?format=jsonl") as response:
            with pytest.raises(ClientPayloadError):
                await response.read()


async def test_only_the_selected_spans_are_deleted(tmp_path: Path) -> None:
    async with serving_history(tmp_path) as client:
        for query in ("", "?all=false", "?all=true&feed=yard", "?everything=true"):
            async with client.delete(f"/api/history{query}") as response:
                assert response.status == 400
        async with client.delete(f"/api/history?feed=yard&to={BASE_TIME + 20}") as response:
            assert await response.json() == {"deleted": 1}
        left = await get(client, "search?feed=yard")
        assert [span["from"] for span in left["spans"]] == [BASE_TIME + 30, BASE_TIME + 20]
        async with client.delete("/api/history?all=true") as response:
            assert await response.json() == {"deleted": 5}
        assert (await get(client, "search"))["spans"] == []


async def test_a_viewer_may_read_but_not_delete(tmp_path: Path) -> None:
    viewer = {"Authorization": "Bearer viewer-viewer-viewer"}
    access = {"admin_token": "admin-admin-admin", "viewer_token": "viewer-viewer-viewer"}
    async with serving_history(tmp_path, access=access) as client:
        async with client.get("/api/history/search", headers=viewer) as response:
            assert response.status == 200
        async with client.get("/api/history/search") as response:
            assert response.status == 401
        async with client.delete("/api/history?all=true", headers=viewer) as response:
            assert response.status == 403


def test_the_server_exits_if_its_history_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "history.sqlite"
    path.write_bytes(b"no database at all" * 100)
    done = subprocess.run(
        [sys.executable, "server.py", "--port", "0"],
        cwd=ROOT,
        env={**os.environ, "SIGHTLINE_HISTORY__PATH": str(path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert "history.sqlite is damaged or not a history" in done.stderr
    assert "Traceback" not in done.stderr


async def test_long_timelines_of_an_address_hold_up_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Semaphore(0)
    original = HistoryReader.timeline

    def slow(reader: HistoryReader, query: HistoryQuery, buckets: int) -> Any:
        assert release.acquire(timeout=60)
        return original(reader, query, buckets)

    monkeypatch.setattr(HistoryReader, "timeline", slow)
    access = {"admin_token": "a" * 20, "viewer_token": "v" * 20}
    limits = {"proxies": ["127.0.0.1"]}
    async with serving_history(tmp_path, access=access, limits=limits) as client:
        done: list[str] = []

        async def request(path: str, address: str, token: str = "v" * 20) -> int:
            headers = {"X-Forwarded-For": address, "Authorization": f"Bearer {token}"}
            async with client.get(f"/api/history/{path}", headers=headers) as response:
                done.append(f"{path} {address}")
                return response.status

        attack = [asyncio.create_task(request("timeline", "192.0.2.1")) for _ in range(12)]
        async with asyncio.timeout(60):
            while sum(task.done() for task in attack) < 4:
                await asyncio.sleep(0.01)
            other = asyncio.create_task(request("search", "192.0.2.2"))
            export = asyncio.create_task(request("export?format=csv", "192.0.2.3"))
            # An admin waits for no viewer.
            assert await request("search", "192.0.2.1", "a" * 20) == 200
            done.clear()
            for _ in range(2):
                release.release()
            statuses = [await other, await export]
            release.release(10)
            of_attack = [await task for task in attack]

    assert statuses == [200, 200]
    assert sorted(of_attack) == [200] * 8 + [429] * 4
    assert done.index("search 192.0.2.2") <= 2, "it waited for no second timeline"
