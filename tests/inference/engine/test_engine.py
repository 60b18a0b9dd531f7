import asyncio
import gc
import os
import shutil
import signal
import sys
from contextlib import suppress
from itertools import groupby
from pathlib import Path

import numpy as np
import psutil
import pytest

from inference.captioning import FrameRequest
from inference.engine.engine import Engine
from inference.engine.process import EngineTiming, LoadFailed, Standby, WorkerProcess
from inference.engine.service import EngineState, EngineUnavailable
from inference.explanations.target import Target
from models.catalogue import SHIPPED_FOLDER
from models.language import END
from tests.inference.conftest import photographs
from tests.inference.engine.test_batching import request_captions
from tests.support.scripted_worker import CAPTION, install_worker
from web.background import create_captioner
from web.settings import ServerSettings

IMAGE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
SOON = EngineTiming(first_pause_s=0.05, longest_pause_s=0.1)


async def test_captions_an_image_with_the_probability_of_each_word(engine: Engine) -> None:
    caption = await engine.caption(IMAGE)

    assert caption.text.lower().replace("'s", " 's").split() == [w.text for w in caption.words]
    for word in caption.words:
        assert word.prob is not None and 0 < word.prob <= 1
        assert word.text not in [other.text for other in word.alternatives]
        assert len(word.alternatives) <= 3
        probs = [other.prob for other in word.alternatives]
        assert probs == sorted(probs, reverse=True)
        assert word.prob + sum(probs) <= 1.001
    assert caption.confidence is not None and 0 < caption.confidence <= 1
    assert caption.timing_ms.encoder > 0


async def test_captions_of_the_same_image_are_equal(engine: Engine) -> None:
    captions = await asyncio.gather(*(engine.caption(IMAGE) for _ in range(5)))

    assert {caption.text for caption in captions} == {captions[0].text}


async def test_refuses_an_invalid_image_or_width_and_goes_on(engine: Engine) -> None:
    with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\]"):
        await engine.caption(IMAGE[..., 0])
    with pytest.raises(ValueError, match="beam width 9"):
        await engine.caption(IMAGE, beam_width=9)

    assert await engine.caption(IMAGE)


async def test_a_cancelled_request_does_not_affect_the_next(engine: Engine) -> None:
    pid = engine.pid
    cancelled = asyncio.create_task(engine.caption(IMAGE))
    await asyncio.sleep(0)
    cancelled.cancel()

    assert await engine.caption(IMAGE)
    assert engine.pid == pid


async def test_pending_requests_fail_when_the_worker_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install_worker(tmp_path, monkeypatch)
    engine = Engine(SHIPPED_FOLDER, SOON, explains=False)
    engine.start()
    await engine.wait_loaded()
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)
    # More than the pipe's buffer: it breaks in the middle of an image.
    tasks = await request_captions(engine, list(photographs(260)), [None] * 6)
    os.kill(engine.pid, signal.SIGKILL)

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    await engine.wait_ready()
    await engine.stop()
    gc.collect()

    assert {type(answer) for answer in answers} == {EngineUnavailable}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_pending_requests_fail_when_the_engine_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_worker(tmp_path, monkeypatch)
    engine = Engine(SHIPPED_FOLDER, SOON, explains=False)
    engine.start()
    await engine.wait_loaded()
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)
    explaining = asyncio.create_task(engine.explain(IMAGE, (END,), "rise", Target("caption")))
    tasks = await request_captions(engine, list(photographs(64)), [None] * 6)

    await engine.stop()

    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(answer) for answer in answers} == {EngineUnavailable}
    with pytest.raises(EngineUnavailable, match="stopped"):
        await explaining


async def test_a_missing_int8_encoder_is_reported(folder: Path) -> None:
    engine = Engine(folder, SOON, "int8")
    engine.start()

    with pytest.raises(EngineUnavailable, match="no int8 encoder"):
        await engine.wait_loaded()
    await engine.stop()


async def test_a_killed_worker_is_reported_and_replaced(killable_engine: Engine) -> None:
    states: list[EngineState] = []
    starts = killable_engine.starts
    unsubscribe = killable_engine.subscribe(lambda: states.append(killable_engine.state))
    assert killable_engine.pid
    captioning = asyncio.create_task(killable_engine.caption(IMAGE))
    await asyncio.sleep(0)
    os.kill(killable_engine.pid, signal.SIGKILL)

    with pytest.raises(EngineUnavailable):
        await captioning
    await asyncio.sleep(0.02)
    with pytest.raises(EngineUnavailable, match=r"SIGKILL.* Trying again|restarting"):
        await killable_engine.caption(IMAGE)
    await killable_engine.wait_ready()
    assert [state for state, _ in groupby(states)] == [EngineState.PAUSED, EngineState.READY]
    caption = await killable_engine.caption(IMAGE)
    unsubscribe()
    assert caption == CAPTION
    assert killable_engine.starts == starts + 1


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -KILL $$", "ended by SIGKILL, most likely because .* ran out of memory; .* 1.1 GB"),
        (
            "kill -ILL $$",
            "ended by SIGILL, because this CPU lacks instructions .* AVX; use",
        ),
        ("kill -ABRT $$", "ended by SIGABRT, which means that a library crashed"),
        ("kill -40 $$", r"ended by SIGRT|ended by signal 40"),
        ("exit 3", r"exited with status 3\."),
    ],
)
async def test_a_worker_that_dies_while_loading_is_reported_and_not_retried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    engine = Engine(SHIPPED_FOLDER, SOON, max_failures=3)
    engine.start()

    with pytest.raises(EngineUnavailable, match=f"stopped while it was loading: .*{reason}") as why:
        await engine.wait_loaded()
    assert "again" not in str(why.value)
    with pytest.raises(EngineUnavailable, match=reason):
        await engine.wait_ready()
    assert engine.starts == 1
    await engine.stop()


async def test_a_worker_that_keeps_dying_is_given_up_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_worker(tmp_path, monkeypatch, result="os.kill(os.getpid(), 9)")
    engine = Engine(SHIPPED_FOLDER, EngineTiming(first_pause_s=0.01), max_failures=3)
    engine.start()
    await engine.wait_loaded()
    with pytest.raises(EngineUnavailable, match=r"SIGKILL, most likely .* limit\.$"):
        async with asyncio.timeout(60):
            while True:
                await engine.wait_ready()
                with suppress(EngineUnavailable):
                    await engine.caption(IMAGE)

    assert engine.starts == 3
    await engine.stop()


async def until_standby(engine: Engine) -> None:
    async with asyncio.timeout(60):
        while not engine.has_standby:
            await asyncio.sleep(0.02)


async def test_a_standby_takes_over_at_once_and_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_worker(tmp_path, monkeypatch)
    before = {child.pid for child in psutil.Process().children()}
    engine = Engine(SHIPPED_FOLDER, SOON, explains=False, standby=True)
    engine.start()
    await engine.wait_loaded()
    first = engine.pid
    assert first and not engine.has_standby
    await until_standby(engine)
    loaded = {child.pid for child in psutil.Process().children()} - before
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(30):
        while engine.pid == first or engine.state is not EngineState.READY:
            await asyncio.sleep(0.01)
    assert engine.pid in loaded
    caption = await engine.caption(IMAGE)
    await until_standby(engine)
    await engine.stop()

    assert caption == CAPTION
    assert engine.starts == 2
    assert {child.pid for child in psutil.Process().children()} <= before


async def test_a_worker_that_hangs_is_killed_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_worker(tmp_path, monkeypatch)
    engine = Engine(SHIPPED_FOLDER, EngineTiming(answer_s=0.5, first_pause_s=0.05), explains=False)
    engine.start()
    await engine.wait_loaded()
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)

    with pytest.raises(EngineUnavailable, match="hung"):
        await engine.caption(IMAGE)
    while engine.state is EngineState.READY:
        await asyncio.sleep(0.01)
    await engine.wait_ready()
    assert engine.starts == 2
    await engine.stop()


async def test_a_captioner_that_cannot_be_loaded_is_reported_with_a_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(SHIPPED_FOLDER, broken)
    (broken / "vocabulary.txt").write_text("<pad>\n<start>\n<end>\n<unk>\na\n")
    engine = Engine(broken, SOON)
    engine.start()

    with pytest.raises(EngineUnavailable, match="has 5 words, but the captioner was trained with"):
        await engine.wait_loaded()
    await engine.stop()


async def test_the_setting_switches_the_consensus_off(choosing: Path, tmp_path: Path) -> None:
    damaged = Path(shutil.copytree(choosing, tmp_path / "damaged"))
    (damaged / "consensus.npz").write_bytes(b"")
    images, found = photographs(64), {}
    for consensus in (True, False):
        captioner = create_captioner(
            ServerSettings(captioner=choosing if consensus else damaged, consensus=consensus),
            explains=False,
            max_failures=1,
        )
        captioner.start()
        await captioner.wait_loaded()
        assert captioner.info
        assert captioner.info.consensus == consensus
        found[consensus] = [
            (await captioner.caption_frame(FrameRequest(image))).caption for image in images
        ]
        await captioner.stop()

    assert any(each.instead_of for each in found[True])
    assert not any(each.instead_of for each in found[False])
    for chosen, first in zip(found[True], found[False], strict=True):
        assert first.text == (chosen.instead_of or chosen.text)
        assert chosen.runner_up and first.runner_up


async def test_a_worker_that_cannot_be_started_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    engine = Engine(SHIPPED_FOLDER, SOON, standby=True)
    engine.start()

    with pytest.raises(EngineUnavailable, match="cannot be started: No such file"):
        await engine.wait_loaded()
    async with asyncio.timeout(5):
        while engine.starts < 3:
            await asyncio.sleep(0.01)
    await engine.stop()


async def test_a_standby_that_cannot_be_started_is_tried_again() -> None:
    tried = asyncio.Semaphore(0)

    async def start() -> WorkerProcess:
        tried.release()
        raise LoadFailed("no process")

    standby = Standby(start, SOON)
    standby.keep()
    async with asyncio.timeout(5):
        for _ in range(3):
            await tried.acquire()
    assert not standby.ready
    await standby.stop()


async def test_stopping_leaves_no_process() -> None:
    before = {child.pid for child in psutil.Process().children()}
    engine = Engine(SHIPPED_FOLDER, explains=False)
    engine.start()
    while engine.pid is None:
        await asyncio.sleep(0.01)
    await engine.stop()

    assert {child.pid for child in psutil.Process().children()} <= before
    with pytest.raises(EngineUnavailable):
        await engine.caption(IMAGE)


async def test_the_worker_does_not_outlive_a_killed_server() -> None:
    serving = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys\n"
        "from inference.engine.engine import Engine\n"
        "from models.catalogue import SHIPPED_FOLDER\n"
        "async def serve():\n"
        "    engine = Engine(SHIPPED_FOLDER, explains=False)\n"
        "    engine.start()\n"
        "    await engine.wait_loaded()\n"
        "    print(engine.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(serve())",
        stdout=asyncio.subprocess.PIPE,
    )
    assert serving.stdout
    process = psutil.Process(int(await serving.stdout.readline()))
    serving.kill()
    await serving.wait()

    await asyncio.to_thread(process.wait, 10)
