"""Log formats, context ids, and masking of secrets."""

import asyncio
import io
import json
import logging
import queue
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from aiortc import RTCRtpCodecParameters
from aiortc.jitterbuffer import JitterFrame
from aiortc.rtcrtpreceiver import decoder_worker
from pydantic import BaseModel, SecretStr

from stream.context import LOG_CONTEXT, bind_log_context
from web.service.log import log_to_stderr, secrets_in
from web.settings.sections import LogSettings

SECRET = "s3cret-s3cret-s3cret"
logger = logging.getLogger("web.test")


@pytest.fixture(autouse=True)
def _no_context() -> Iterator[None]:
    token = LOG_CONTEXT.set({})
    level = logging.root.level
    yield
    LOG_CONTEXT.reset(token)
    logging.root.setLevel(level)


def test_a_line_has_the_ids_of_its_context(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(LogSettings())
    bind_log_context(request="r1")
    bind_log_context(session="s1")
    logger.info("hello")
    logger.debug("hidden")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("INFO request=r1 session=s1 hello")


def test_a_client_cannot_fill_the_log_with_frames_that_cannot_be_decoded(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_to_stderr(LogSettings())
    frames: queue.Queue[Any] = queue.Queue()
    codec = RTCRtpCodecParameters("video/VP8", clockRate=90_000, payloadType=96)
    for _ in range(1000):
        frames.put((codec, JitterFrame(b"no frame of VP8", 0)))
    frames.put(None)
    loop = asyncio.new_event_loop()
    decoder_worker(loop, frames, asyncio.Queue(), threading.Event())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    logger.warning("hello")

    *lines, last = capsys.readouterr().err.splitlines()
    assert "failed to decode" in lines[0] and len(lines) <= 20
    assert last.endswith("hello")


def test_as_json_each_line_is_an_object(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(LogSettings(format="json", level="debug"))
    bind_log_context(feed="door")
    logger.debug("a\nb", extra={"fields": {"ms": 1.5}})
    try:
        raise ValueError("broken\nin two")
    except ValueError:
        logger.exception("failed")

    first, second = map(json.loads, capsys.readouterr().err.splitlines())
    assert (first["message"], first["level"], first["feed"], first["ms"]) == (
        "a\nb",
        "debug",
        "door",
        1.5,
    )
    assert "broken\nin two" in second["exception"]


def test_json_stays_json_if_the_encoding_lacks_a_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    output = io.BytesIO()
    latin = io.TextIOWrapper(output, encoding="latin-1", errors="backslashreplace")
    monkeypatch.setattr(sys, "stderr", latin)
    log_to_stderr(LogSettings(format="json"))
    logger.warning("Zoë\N{SNOWMAN}")

    assert json.loads(output.getvalue())["message"] == "Zoë\N{SNOWMAN}"


def test_line_breaks_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(LogSettings())
    logger.warning("%s", "x\r\n2026-01-01 00:00:00 INFO forged")

    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_masked(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(LogSettings.model_validate({"format": form}), {SECRET})
    logger.info("token %s", SECRET)
    logger.info("opening %s", "rtsp://user:pass%40word@camera/live?x=1")
    logger.info("header Authorization: Bearer abcdefghijklmnop")
    try:
        raise OSError(f"rtsp://me:/or@hidden-word@camera failed, {SECRET}")
    except OSError:
        logger.exception("failed")

    output = capsys.readouterr().err
    assert len(output) > 100
    for secret in (SECRET, "pass%40word", "abcdefghijklmnop", "hidden-word"):
        assert secret not in output
    assert "rtsp://***@camera/live?x=1" in output


def test_secrets_are_found_in_the_settings() -> None:
    class Access(BaseModel):
        token: SecretStr | None = SecretStr(SECRET)
        other: SecretStr | None = None

    class Settings(BaseModel):
        access: Access = Access()
        source: SecretStr = SecretStr("demo")
        name: str = "camera"

    assert secrets_in(Settings()) == {SECRET}
