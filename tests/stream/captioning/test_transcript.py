"""Tests of transcripts of recorded and live sources, by the real captioner."""

import asyncio
import json
import os
import signal
import threading
import time
from pathlib import Path

import av
import pytest

from inference.engine.engine import Engine
from stream.captioning.event import display_text
from stream.captioning.transcript import format_json_line, format_line, transcribe
from stream.captioning.webvtt import WebVttWriter
from stream.sources import SourceError, open_source
from tests.support.servers.source_servers import MjpegCamera, WebServer


async def test_a_recorded_source_is_sampled_by_its_media_time(
    engine: Engine, footage: Path
) -> None:
    with open_source(str(footage)) as source:
        lines = [line async for line in transcribe(source, engine, 2.5)]

    assert [round(line.position_s, 1) for line in lines] == [0.0, 2.5, 5.0, 7.5]
    assert all(line.captioned.caption.words for line in lines)


async def test_maps_are_computed_and_printed_only_on_request(engine: Engine) -> None:
    with open_source("demo") as source:
        lines = transcribe(source, engine, 0.3, maps=True)
        line = await anext(lines)
        await lines.aclose()

    maps = line.captioned.caption.maps
    assert maps and len(maps.words) == len(line.captioned.caption.words)
    assert json.loads(format_json_line(0, line, maps=True))["maps"] == maps.to_json()
    assert json.loads(format_json_line(0, line))["maps"] is None


async def test_a_live_source_is_sampled_by_the_clock(engine: Engine) -> None:
    started = time.monotonic()
    positions = []
    with open_source("demo") as source:
        lines = transcribe(source, engine, 0.3)
        async for line in lines:
            positions.append(line.position_s)
            if len(positions) == 4:
                break
        await lines.aclose()

    assert positions[0] == 0
    assert positions == sorted(set(positions))
    assert positions[-1] <= time.monotonic() - started


async def test_no_frame_is_lost_when_the_engine_dies(
    killable_engine: Engine, footage: Path
) -> None:
    positions, starts = [], killable_engine.starts
    with open_source(str(footage)) as source:
        async for line in transcribe(source, killable_engine, 2.5):
            positions.append(round(line.position_s, 1))
            if len(positions) == 2:
                assert killable_engine.pid
                # It dies with the next frame in its hands.
                os.kill(killable_engine.pid, signal.SIGSTOP)
                loop = asyncio.get_running_loop()
                loop.call_later(1, os.kill, killable_engine.pid, signal.SIGKILL)

    assert positions == [0.0, 2.5, 5.0, 7.5]
    assert killable_engine.starts == starts + 1


async def test_a_source_that_fails_raises_after_its_captions(
    engine: Engine, footage: Path, tmp_path: Path
) -> None:
    whole = tmp_path / "whole.mkv"
    with av.open(str(footage)) as read, av.open(str(whole), "w") as write:
        video = write.add_stream_from_template(read.streams.video[0])
        for packet in read.demux(video=0):
            if packet.dts is not None:
                packet.stream = video
                write.mux(packet)
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    lines = []
    with open_source(str(broken)) as source, pytest.raises(SourceError):
        async for line in transcribe(source, engine, 1):
            lines.append(line)
    assert lines


async def test_a_camera_that_is_lost_raises_after_its_captions(engine: Engine) -> None:
    lost = threading.Event()

    def until_lost(camera: MjpegCamera) -> None:
        while not lost.wait(0.05):
            camera.send(100)

    lines = []
    with (
        WebServer({"/camera": until_lost}) as server,
        open_source(f"{server.url}/camera") as source,
        pytest.raises(SourceError, match="stopped sending"),
    ):
        async for line in transcribe(source, engine, 0.3):
            lines.append(line)
            lost.set()
    assert lines


async def test_lines_are_formatted_as_text_json_and_webvtt(
    engine: Engine, footage: Path, tmp_path: Path
) -> None:
    subtitles = tmp_path / "bikes.vtt"
    with open_source(str(footage)) as source, WebVttWriter(subtitles, 4) as vtt:
        lines = []
        async for line in transcribe(source, engine, 4):
            lines.append(line)
            vtt.add(line)
    texts = [display_text(line.captioned.caption) for line in lines]

    assert format_line(lines[1]).startswith(f"  0:04.0  {texts[1]}  (")
    assert f'"text": "{lines[1].captioned.caption.text}"' in format_json_line(1, lines[1])
    assert subtitles.read_text() == (
        f"WEBVTT\n\n00:00:00.000 --> 00:00:04.000\n{texts[0]}\n"
        f"\n00:00:04.000 --> 00:00:08.000\n{texts[1]}\n"
        f"\n00:00:08.000 --> 00:00:12.000\n{texts[2]}\n"
    )


async def test_closing_early_ends_the_source_and_its_threads(engine: Engine) -> None:
    with open_source("demo") as source:
        lines = transcribe(source, engine, 0.3)
        taking = asyncio.create_task(anext(lines))
        await asyncio.sleep(0.2)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await lines.aclose()
        before = time.monotonic()
        assert list(source.frames()) == []
        assert time.monotonic() - before < 5
