import asyncio
import contextlib
import gc
import os
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from inference.captioning.caption import Caption
from inference.engine.engine import Engine
from inference.engine.process import EngineProcess, EngineTiming, LoadFailed, Standby
from inference.engine.service import EngineState, EngineUnavailable
from inference.explanations.target import Target
from models.language.vocabulary import END
from tests.inference.conftest import photographs
from web.settings.server import DEFAULT_CAPTIONER

PICTURE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
SOON = EngineTiming(first_pause_s=0.05, longest_pause_s=0.1)


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


@contextlib.contextmanager
def stopped(engine: Engine) -> Iterator[None]:
    """Keep the process from answering, so that requests have to wait."""
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(engine.pid, signal.SIGCONT)


async def ask(
    engine: Engine, pictures: Sequence[NDArray[np.uint8]], widths: Sequence[int | None]
) -> list[asyncio.Task[Caption]]:
    """Ask for captions, each a task that has begun."""
    asked = []
    for picture, width in zip(pictures, widths, strict=True):
        asked.append(asyncio.create_task(engine.caption(picture, width)))
        # So that the first is on its way before the others come.
        await asyncio.sleep(0.01)
    return asked


def together(captions: Sequence[Caption]) -> list[int]:
    """Sizes of the batches: what was computed together took the same time to the last digit."""
    return list(Counter((c.timing_ms.encoder, c.timing_ms.decoder) for c in captions).values())


async def test_what_waits_is_answered_together_and_each_its_own(engine: Engine) -> None:
    pictures = list(photographs(64))
    alone = [(await engine.caption(picture)).text for picture in pictures]

    with stopped(engine):
        asked = await ask(engine, pictures, [None] * len(pictures))
    captions = await asyncio.gather(*asked)

    # The first went alone; of those that came meanwhile, four at most are taken together.
    assert together(captions) == [1, 4, 1]
    assert [caption.text for caption in captions] == alone
    assert len(set(alone)) > 2


async def test_only_searches_of_one_width_go_together(engine: Engine) -> None:
    pictures = list(photographs(64))[:5]
    with stopped(engine):
        asked = await ask(engine, pictures, [None, 2, None, 2, None])
    captions = await asyncio.gather(*asked)

    assert together(captions) == [1, 2, 2]
    assert captions[1].timing_ms == captions[3].timing_ms
    alone = [await engine.caption(p, w) for p, w in zip(pictures[1:3], (2, None), strict=True)]
    assert [caption.text for caption in captions[1:3]] == [caption.text for caption in alone]


async def test_one_that_is_refused_or_given_up_costs_its_neighbours_nothing(
    engine: Engine,
) -> None:
    first, *pictures = photographs(64)[:4]
    with stopped(engine):
        asked = await ask(engine, [first, pictures[0], PICTURE[..., 0], *pictures], [None] * 6)
        asked[1].cancel()
    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert isinstance(answers[1], asyncio.CancelledError)
    assert isinstance(answers[2], ValueError)
    captions = [answer for answer in answers if isinstance(answer, Caption)]
    assert together(captions) == [1, 3]
    alone = [(await engine.caption(picture)).text for picture in (first, *pictures)]
    assert [caption.text for caption in captions] == alone


async def test_one_that_is_given_up_while_it_is_computed_costs_its_neighbours_nothing(
    engine: Engine,
) -> None:
    pictures = list(photographs(64))[:3]
    alone = [(await engine.caption(picture)).text for picture in pictures]

    asked = await ask(engine, pictures, [None] * 3)
    await asked[0]
    # The other two are with the process now.
    await asyncio.sleep(0)
    asked[1].cancel()

    assert (await asked[2]).text == alone[2]
    assert (await engine.caption(pictures[1])).text == alone[1]


async def test_all_that_wait_are_told_when_the_process_dies(
    mortal_engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    assert mortal_engine.pid
    os.kill(mortal_engine.pid, signal.SIGSTOP)
    # More than a pipe holds: it breaks in the middle of a picture.
    asked = await ask(mortal_engine, list(photographs(260)), [None] * 6)
    os.kill(mortal_engine.pid, signal.SIGKILL)

    answers = await asyncio.gather(*asked, return_exceptions=True)
    await mortal_engine.wait_ready()
    gc.collect()

    assert {type(answer) for answer in answers} == {EngineUnavailable}
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_stopping_answers_who_still_waits(saved: Path) -> None:
    engine = Engine(saved, SOON, explains=False)
    engine.start()
    await engine.wait_loaded()
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)
    explaining = asyncio.create_task(engine.explain(PICTURE, (END,), "rise", Target("caption")))
    asked = await ask(engine, list(photographs(64)), [None] * 6)

    await engine.stop()

    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert {type(answer) for answer in answers} == {EngineUnavailable}
    with pytest.raises(EngineUnavailable, match="stopped"):
        await explaining


async def test_an_int8_encoder_that_is_not_there_is_told(folder: Path) -> None:
    engine = Engine(folder, SOON, "int8")
    engine.start()

    with pytest.raises(EngineUnavailable, match="no int8 encoder"):
        await engine.wait_loaded()
    await engine.stop()


async def test_a_killed_process_is_told_and_replaced(mortal_engine: Engine) -> None:
    states: list[EngineState] = []
    starts = mortal_engine.starts
    unsubscribe = mortal_engine.subscribe(lambda: states.append(mortal_engine.state))
    assert mortal_engine.pid
    asking = asyncio.create_task(mortal_engine.caption(PICTURE))
    await asyncio.sleep(0)
    os.kill(mortal_engine.pid, signal.SIGKILL)

    with pytest.raises(EngineUnavailable):
        await asking
    await asyncio.sleep(0.02)
    with pytest.raises(EngineUnavailable, match="restarting"):
        await mortal_engine.caption(PICTURE)
    await mortal_engine.wait_ready()
    assert states == [EngineState.PAUSED, EngineState.READY]
    caption = await mortal_engine.caption(PICTURE)
    unsubscribe()
    assert caption.text or caption.guess
    assert mortal_engine.starts == starts + 1


async def until_standby(engine: Engine) -> None:
    async with asyncio.timeout(60):
        while not engine.has_standby:
            await asyncio.sleep(0.02)


async def test_a_process_on_standby_takes_over_at_once_and_another_takes_its_place(
    saved: Path,
) -> None:
    before = {child.pid for child in psutil.Process().children()}
    engine = Engine(saved, SOON, explains=False, standby=True)
    engine.start()
    await engine.wait_loaded()
    first = engine.pid
    assert first and not engine.has_standby
    await until_standby(engine)
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(2):
        while engine.pid == first or engine.state is not EngineState.READY:
            await asyncio.sleep(0.01)
    caption = await engine.caption(PICTURE)
    await until_standby(engine)
    await engine.stop()

    assert caption.text or caption.guess
    assert engine.starts == 2
    assert {child.pid for child in psutil.Process().children()} == before


async def test_a_process_that_hangs_is_ended_and_replaced(saved: Path) -> None:
    engine = Engine(saved, EngineTiming(answer_s=0.5, first_pause_s=0.05), explains=False)
    engine.start()
    await engine.wait_loaded()
    assert engine.pid
    os.kill(engine.pid, signal.SIGSTOP)

    with pytest.raises(EngineUnavailable, match="hung"):
        await engine.caption(PICTURE)
    while engine.state is EngineState.READY:
        await asyncio.sleep(0.01)
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


async def test_a_system_without_a_process_to_give_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    engine = Engine(DEFAULT_CAPTIONER, SOON, standby=True)
    engine.start()

    with pytest.raises(EngineUnavailable, match="cannot be started: No such file"):
        await engine.wait_loaded()
    async with asyncio.timeout(5):
        while engine.starts < 3:
            await asyncio.sleep(0.01)
    await engine.stop()


async def test_a_standby_that_cannot_be_started_is_tried_again() -> None:
    tried = asyncio.Semaphore(0)

    async def start() -> EngineProcess:
        tried.release()
        raise LoadFailed("no process to give")

    standby = Standby(start, SOON)
    standby.keep()
    async with asyncio.timeout(5):
        for _ in range(3):
            await tried.acquire()
    assert not standby.ready
    await standby.stop()


async def test_stopping_leaves_no_process() -> None:
    before = {child.pid for child in psutil.Process().children()}
    engine = Engine(DEFAULT_CAPTIONER, explains=False)
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
        "from inference.engine.engine import Engine\n"
        "from web.settings.server import DEFAULT_CAPTIONER\n"
        "async def serve():\n"
        "    engine = Engine(DEFAULT_CAPTIONER, explains=False)\n"
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
