"""The log: one line each, what it is about, and no secret in any."""

import json
import logging
from collections.abc import Iterator

import pytest
from pydantic import BaseModel, SecretStr

from stream.context import LOG_CONTEXT, log_as
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


def test_a_line_says_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(LogSettings())
    log_as(request="r1")
    log_as(session="s1")
    logger.info("hello")
    logger.debug("not told")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("INFO request=r1 session=s1 hello")


def test_as_json_a_line_is_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(LogSettings(format="json", level="debug"))
    log_as(feed="door")
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


def test_nobody_can_write_a_line_of_their_own(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(LogSettings())
    logger.warning("%s", "x\r\n2026-01-01 00:00:00 INFO forged")

    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_is_told(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    log_to_stderr(LogSettings.model_validate({"format": form}), {SECRET})
    logger.info("token %s", SECRET)
    logger.info("opening %s", "rtsp://user:pass%40word@camera/live?x=1")
    logger.info("header Authorization: Bearer abcdefghijklmnop")
    try:
        raise OSError(f"rtsp://me:hidden-word@camera failed, {SECRET}")
    except OSError:
        logger.exception("failed")

    told = capsys.readouterr().err
    assert len(told) > 100
    for secret in (SECRET, "pass%40word", "abcdefghijklmnop", "hidden-word"):
        assert secret not in told
    assert "rtsp://***@camera/live?x=1" in told


def test_secrets_are_found_in_the_settings() -> None:
    class Access(BaseModel):
        token: SecretStr | None = SecretStr(SECRET)
        other: SecretStr | None = None

    class Settings(BaseModel):
        access: Access = Access()
        source: SecretStr = SecretStr("demo")
        name: str = "camera"

    assert secrets_in(Settings()) == {SECRET}
