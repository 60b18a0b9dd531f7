"""The engine's process: `python -m inference.engine.worker CAPTIONER PRECISION [captions-only]`.

Requests come on standard input and answers go to what was standard output; the process ends when
its input does, so that it never outlives the server. Captions go before explanations and analyses:
of those a slice is done after each answered batch of captions, and more only while nothing else
waits.
"""

import importlib
import logging
import math
import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from inference.captioning import Anchor, Precision, QuantizedError, View
from inference.engine.connection import pack, parted, read_blocking
from inference.engine.jobs import Jobs, JobWork
from inference.explanations import Target
from inference.startup import load_keras, quiet, use_one_thread

if TYPE_CHECKING:
    from inference.captioning.model import CaptionModel
    from inference.engine.explanation_jobs import Explaining


_NICENESS = 5


def main(folder: Path, precision: Precision, *, explains: bool) -> int:
    """Load the captioner, say so, and answer until the input ends."""
    # Whatever a library prints must not end up between the messages.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    # The video path runs beside: when both want a core, the picture goes first.
    os.nice(_NICENESS)
    use_one_thread()
    _log()
    with quiet():
        load_keras()
        from inference.captioning.model import CaptionModel
        from inference.concepts import has_bank
        from inference.engine.explanation_jobs import Explaining
        from inference.explanations.methods import METHODS
        from models.checkpoint import ReleaseError

        try:
            model = CaptionModel(folder, precision)
        except (ReleaseError, QuantizedError) as problem:
            _send(answers, {"type": "failed", "message": str(problem)})
            return 1
        if explains:
            _warm_up(model)
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
            "tags": model.has_tags,
            "hardened": model.hardened is not None,
            "concepts": has_bank(folder),
            "methods": [method.card().to_json() for method in METHODS.values()],
        },
    )
    # Not buffered: what waits in a buffer, `select` would not tell of.
    with os.fdopen(os.dup(0), "rb", buffering=0) as requests:
        _serve(requests, answers, model, Explaining(model))
    return 0


def _warm_up(model: "CaptionModel") -> None:
    """Load and compile what captions would wait for when somebody first asks for more."""
    importlib.import_module("inference.engine.analysis_jobs")
    model.graphs.warm_up()
    if model.hardened:
        model.hardened.warm_up()


def _serve(
    requests: BinaryIO, answers: BinaryIO, model: "CaptionModel", explaining: "Explaining"
) -> None:
    """Answer until the input ends."""
    jobs = Jobs(lambda message, payload: _send(answers, message, payload))
    while True:
        if jobs and not select.select([requests], [], [], 0)[0]:
            jobs.advance()
            continue
        try:
            _answer(requests, answers, model, explaining, jobs)
        except EOFError:
            return


def _answer(
    requests: BinaryIO,
    answers: BinaryIO,
    model: "CaptionModel",
    explaining: "Explaining",
    jobs: Jobs,
) -> None:
    """Take one request; its pictures are held as long as its answer, or its job, needs them."""
    request, payload = read_blocking(requests)
    if request["type"] == "follow":
        _send(answers, {"type": "answers", "answers": _answers(model, request, payload)})
        jobs.advance()
    elif request["type"] == "cancel":
        jobs.cancel(request["job"])
    elif request["type"] == "analyse":
        jobs.add(request["job"], _analysis(model, request, payload), "analysis")
    else:
        jobs.add(request["job"], _explanation(explaining, request, payload))


def _analysis(model: "CaptionModel", request: dict[str, Any], payload: bytes) -> JobWork:
    # Not above: what it computes with takes seconds to load, and is not needed for captions.
    from inference.engine.analysis_jobs import analyse

    image, *frames = _images(request["shapes"], payload)
    tokens, kind, params = tuple(request["tokens"]), request["kind"], request["params"]
    return analyse(model, image, tokens, kind, params, frames)


def _explanation(explaining: "Explaining", request: dict[str, Any], payload: bytes) -> JobWork:
    (image,) = _images(request["shapes"], payload)
    tokens, method = tuple(request["tokens"]), request["method"]
    if request["type"] == "check":
        return explaining.check(image, tokens, method, request["index"])
    return explaining.explain(image, tokens, method, Target.from_json(request["target"]))


def _log() -> None:
    """Let this package speak while libraries are held back."""
    handler = logging.StreamHandler(os.fdopen(os.dup(2), "w", buffering=1))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("inference")
    logger.addHandler(handler)
    logger.propagate = False


def _answers(model: "CaptionModel", request: dict[str, Any], payload: bytes) -> list[Any]:
    """Caption the pictures together, but for those that have to be refused."""
    # Not above: TensorFlow comes with it, which must find the environment set.
    from inference.captioning.stream_captions import follow

    images = _images(request["shapes"], payload)
    answers: list[Any] = [_refusal(model, image, request["beam_width"]) for image in images]
    asked = [place for place, refusal in enumerate(answers) if refusal is None]
    if asked:
        views = [_view(images[place], request["streams"][place]) for place in asked]
        followed = follow(model, views, request["beam_width"])
        for place, (caption, anchor) in zip(asked, followed, strict=True):
            answers[place] = {
                "type": "caption",
                "caption": caption.to_json(),
                "anchor": anchor.to_json(),
            }
    return answers


def _view(image: NDArray[np.uint8], stream: dict[str, Any]) -> View:
    anchor = stream["anchor"]
    return View(image, anchor and Anchor.from_json(anchor), stream["afresh"], maps=stream["maps"])


def _images(shapes: list[list[int]], payload: bytes) -> list[NDArray[np.uint8]]:
    parts = parted(payload, map(math.prod, shapes))
    return [
        np.frombuffer(part, np.uint8).reshape(shape)
        for part, shape in zip(parts, shapes, strict=True)
    ]


def _refusal(
    model: "CaptionModel", image: NDArray[np.uint8], beam_width: int | None
) -> dict[str, Any] | None:
    try:
        model.check(image, beam_width)
    except ValueError as problem:
        return {"type": "refused", "message": str(problem)}
    return None


def _send(answers: BinaryIO, message: dict[str, Any], payload: bytes = b"") -> None:
    answers.write(pack(message, payload))


if __name__ == "__main__":
    folder, precision, *rest = sys.argv[1:]
    sys.exit(main(Path(folder), cast(Precision, precision), explains=not rest))
