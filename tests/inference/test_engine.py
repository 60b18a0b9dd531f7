import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import pytest_asyncio

from inference.engine import Engine, EngineState, EngineTiming, EngineUnavailable
from web.settings import DEFAULT_CAPTIONER

PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
SOON = EngineTiming(first_pause_s=0.05, longest_pause_s=0.1)


@pytest_asyncio.fixture
async def own_engine() -> AsyncIterator[Engine]:
    engine = Engine(DEFAULT_CAPTIONER, SOON)
    engine.start()
    await engine.wait_loaded()
    yield engine
    await engine.stop()


async def test_captions_a_picture_with_what_each_word_was_worth(engine: Engine) -> None:
    caption = await engine.caption(PICTURE)

    assert caption.text.lower().replace("'s", " 's").split() == [w.text for w in caption.words]
    for word in caption.words:
        assert 0 < word.prob <= 1
        assert word.text not in [other.text for other in word.alternatives]
        assert len(word.alternatives) <= 3
        probs = [other.prob for other in word.alternatives]
        assert probs == sorted(probs, reverse=True)
        assert word.prob + sum(probs) <= 1.001
    assert 0 < caption.confidence <= 1
    assert caption.timing_ms.encoder > 0


async def test_answers_callers_in_turn_and_the_same_each_time(engine: Engine) -> None:
    captions = await asyncio.gather(*(engine.caption(PICTURE) for _ in range(5)))

    assert {caption.text for caption in captions} == {captions[0].text}


async def test_refuses_what_is_no_picture_and_goes_on(engine: Engine) -> None:
    with pytest.raises(ValueError, match=r"uint8 \[H, W, 3\]"):
        await engine.caption(PICTURE[..., 0])
    with pytest.raises(ValueError, match="beam width 9"):
        await engine.caption(PICTURE, beam_width=9)

    assert await engine.caption(PICTURE)


async def test_a_caller_that_gives_up_costs_the_others_nothing(engine: Engine) -> None:
    pid = engine.pid
    given_up = asyncio.create_task(engine.caption(PICTURE))
    await asyncio.sleep(0)
    given_up.cancel()

    assert await engine.caption(PICTURE)
    assert engine.pid == pid


async def test_a_killed_process_is_told_and_replaced(own_engine: Engine) -> None:
    states: list[EngineState] = []
    own_engine.subscribe(lambda: states.append(own_engine.state))
    assert own_engine.pid
    asking = asyncio.create_task(own_engine.caption(PICTURE))
    await asyncio.sleep(0)
    os.kill(own_engine.pid, signal.SIGKILL)

    with pytest.raises(EngineUnavailable):
        await asking
    await asyncio.sleep(0.02)
    with pytest.raises(EngineUnavailable, match="restarting"):
        await own_engine.caption(PICTURE)
    await own_engine.wait_ready()
    assert states == [EngineState.PAUSED, EngineState.READY]
    assert (await own_engine.caption(PICTURE)).words
    assert own_engine.starts == 2


async def test_a_process_that_hangs_is_ended_and_replaced() -> None:
    engine = Engine(DEFAULT_CAPTIONER, EngineTiming(answer_s=0.5, first_pause_s=0.05))
    engine.start()
    await engine.wait_loaded()
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)

    with pytest.raises(EngineUnavailable, match="hung"):
        await engine.caption(PICTURE)
    await asyncio.sleep(0.1)
    await engine.wait_ready()
    assert engine.starts == 2
    await engine.stop()


async def test_a_captioner_that_cannot_be_loaded_says_why(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(DEFAULT_CAPTIONER, broken)
    (broken / "vocabulary.txt").write_text("<pad>\n<start>\n<end>\n<unk>\na\n")
    engine = Engine(broken, SOON)
    engine.start()

    with pytest.raises(EngineUnavailable, match="do not belong together"):
        await engine.wait_loaded()
    await engine.stop()


async def test_stopping_leaves_no_process() -> None:
    before = {child.pid for child in psutil.Process().children()}
    engine = Engine(DEFAULT_CAPTIONER)
    engine.start()
    while engine.pid is None:
        await asyncio.sleep(0.01)
    await engine.stop()

    assert {child.pid for child in psutil.Process().children()} == before
    with pytest.raises(EngineUnavailable):
        await engine.caption(PICTURE)


async def test_the_process_does_not_outlive_a_killed_server() -> None:
    serving = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import asyncio, sys\n"
        "from inference.engine import Engine\n"
        "from web.settings import DEFAULT_CAPTIONER\n"
        "async def serve():\n"
        "    engine = Engine(DEFAULT_CAPTIONER)\n"
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
