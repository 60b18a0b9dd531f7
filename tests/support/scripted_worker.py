"""A worker of the engine without a captioner: a program that starts at once and repeats itself."""

import contextlib
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from inference.captioning import StreamState
from inference.engine.engine import Engine
from inference.engine.messages import pack
from inference.engine.process import EngineTiming
from inference.engine.service import EngineInfo
from models.catalogue import SHIPPED_FOLDER
from models.preprocessing import Resizing
from tests.support.captions import confident_caption

CAPTION = confident_caption("A dog runs")
INFO = EngineInfo("scripted", "none", Resizing(64), 4, 1, "none", {}, False, False, False, ())

_WORKER = """\
#!{python}
import os, sys, time
sys.path.insert(0, os.getcwd())
from inference.engine.messages import pack, read_blocking
os.write(1, {ready!r})
pause_s = {pause_s}
while True:
    request, _ = read_blocking(sys.stdin.buffer.raw)
    time.sleep(pause_s)
    pause_s = 0.0
    count = len(request["frames"])
    os.write(1, pack({{"type": "captions", "captions": [{result}] * count}}))
"""


def install_worker(
    folder: Path,
    patch: pytest.MonkeyPatch,
    info: EngineInfo = INFO,
    *,
    result: str | None = None,
    pause_s: float = 0.0,
) -> None:
    """Make engines run this worker instead of Python's own interpreter.

    Args:
        folder: An empty folder for the program.
        patch: Ends it.
        info: What the worker says of itself.
        result: A Python expression for the result of each frame, which may use `count`, the number
            of frames that came together; by default one for `CAPTION`.
        pause_s: How long its first answer takes, in seconds.
    """
    if result is None:
        none = np.zeros(0, np.float16)
        state = StreamState(CAPTION, (), none, none)
        caption = {"type": "caption", "caption": CAPTION.to_json(), "state": state.to_json()}
        result = repr(caption)
    program = folder / "python"
    ready = pack({"type": "ready", **asdict(info)})
    program.write_text(
        _WORKER.format(python=sys.executable, ready=ready, pause_s=pause_s, result=result)
    )
    program.chmod(0o700)
    patch.setattr(sys, "executable", str(program))


@contextlib.asynccontextmanager
async def scripted_engine(
    folder: Path, patch: pytest.MonkeyPatch, timing: EngineTiming
) -> AsyncIterator[Engine]:
    """Run an engine with this worker, which may be killed: another is there in half a second."""
    install_worker(folder, patch)
    engine = Engine(SHIPPED_FOLDER, timing, explains=False)
    engine.start()
    try:
        await engine.wait_loaded()
        yield engine
    finally:
        await engine.stop()
