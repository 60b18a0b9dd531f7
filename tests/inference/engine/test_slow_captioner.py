"""The engine adapts to a captioner that is slow, and that captions few frames together."""

import asyncio
from pathlib import Path

import pytest

from inference.engine.engine import Engine
from inference.engine.process import EngineTiming
from inference.engine.service import EngineInfo
from models.catalogue import SHIPPED_FOLDER
from models.preprocessing import Resizing
from tests.inference.conftest import photographs
from tests.support.scripted_worker import install_worker

INFO = EngineInfo(
    *("slow", None, Resizing(64), None, None, "none", {}, False, False, False, ()),
    caption_s=1.0,
    max_batch=2,
)


async def test_a_slow_worker_is_not_killed_and_gets_few_frames_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker answers with the number of frames that it was given together."""
    result = '{"type": "refused", "message": str(count)}'
    install_worker(tmp_path, monkeypatch, INFO, result=result, pause_s=1.0)
    engine = Engine(SHIPPED_FOLDER, EngineTiming(answer_s=0.2))
    engine.start()
    await engine.wait_loaded()

    requests = [engine.caption(image) for image in photographs(64)]
    answers = await asyncio.gather(*requests, return_exceptions=True)

    assert engine.info == INFO
    assert engine.starts == 1
    assert [str(answer) for answer in answers] in (list("222222"), list("122221"))
    assert {type(answer) for answer in answers} == {ValueError}
    await engine.stop()
