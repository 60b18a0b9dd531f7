"""The engine's process: `python -m inference.worker CAPTIONER`.

Requests come on standard input and answers go to what was standard output; the process ends when
its input does, so that it never outlives the server.
"""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from inference.threads import use_one_thread
from inference.wire import pack, read_blocking

_NICENESS = 5


def main(folder: Path) -> int:
    """Load the captioner, say so, and answer until the input ends."""
    # Whatever a library prints must not end up between the messages.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    # The video path runs beside: when both want a core, the picture goes first.
    os.nice(_NICENESS)
    use_one_thread()
    with _quiet():
        from inference.captioning import CaptionModel
        from models.release import ReleaseError

        try:
            model = CaptionModel(folder)
        except ReleaseError as problem:
            _send(answers, {"type": "failed", "message": str(problem)})
            return 1
    card = model.card
    _send(
        answers,
        {
            "type": "ready",
            "name": card.name,
            "figures": card.figures,
            "licence": card.licence,
            "beam_width": card.beam.width,
            "encoder": model.encoder_name,
            "image_size": model.image_size,
            "vocabulary_size": model.vocabulary_size,
        },
    )
    while True:
        try:
            request, payload = read_blocking(sys.stdin.buffer)
        except EOFError:
            return 0
        _send(answers, _answer(model, request, payload))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what TensorFlow tells of itself as it loads, unless loading fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    spoken = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(spoken, held.read())
            raise
        finally:
            os.dup2(spoken, 2)
            os.close(spoken)


def _answer(model: Any, request: dict[str, Any], payload: bytes) -> dict[str, Any]:
    try:
        image = np.frombuffer(payload, np.uint8).reshape(request["shape"])
        caption = model.caption(image, request["beam_width"])
    except ValueError as problem:
        return {"type": "refused", "message": str(problem)}
    return {"type": "caption", "caption": caption.to_json()}


def _send(answers: BinaryIO, message: dict[str, Any]) -> None:
    answers.write(pack(message))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
