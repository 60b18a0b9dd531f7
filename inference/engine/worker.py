"""The worker: `python -m inference.engine.worker CAPTIONER PRECISION LAYER [OPTION ...]`.

The layer is empty for the captioner's own choice; see `open_captioner`. Options: `captions-only`,
which compiles no explanations, and `no-consensus`.

Requests arrive on standard input, results are written to what was standard output; the process
exits when its input ends, so it never outlives the server. Captions have priority over explanations
and analyses: of those one slice runs after each batch of captions, and more only while no request
is waiting.
"""

import gc
import importlib
import logging
import math
import os
import select
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from inference.captioning import FrameRequest, Precision, QuantizedError, StreamState
from inference.engine.jobs import JobScheduler, JobWork
from inference.engine.messages import pack, read_blocking, split
from inference.explanations import Target
from inference.startup import (
    TensorFlowUnavailable,
    load_keras,
    quiet_stderr,
    uncollected,
    use_one_thread,
)
from models.catalogue import CaptionerError, reference_of

if TYPE_CHECKING:
    from inference.captioning.model import CaptionModel
    from inference.explanations.explainer import Explainer

_NICENESS = 5


def main(
    folder: Path, precision: Precision, layer: int | None, *, explains: bool, consensus: bool
) -> int:
    """Load the captioner, report that it is ready, and answer requests until the input ends."""
    # Standard output becomes standard error: a library's prints must not corrupt the messages.
    output = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    # When the video path and captions compete for a core, the video goes first.
    os.nice(_NICENESS)
    use_one_thread()
    _configure_logging()
    with quiet_stderr(), uncollected():
        try:
            load_keras()
        except TensorFlowUnavailable as problem:
            _send(output, {"type": "failed", "message": str(problem)})
            return 1
        from inference.captioners.opening import open_captioner
        from inference.explanations.explainer import Explainer
        from models.checkpoint import CheckpointError

        try:
            model = open_captioner(folder, precision, layer, consensus=consensus)
        except (CheckpointError, QuantizedError, CaptionerError) as problem:
            _send(output, {"type": "failed", "message": _reason(problem, folder)})
            return 1
        except MemoryError:
            _send(output, {"type": "failed", "message": "there is not enough memory"})
            return 1
        if explains:
            _warm_up(model)
    # The captioner's graphs stay, too.
    gc.collect()
    gc.freeze()
    _send(output, {"type": "ready", **_info(model)})
    # Unbuffered: `select` does not see what is already in a buffer.
    with os.fdopen(os.dup(0), "rb", buffering=0) as requests:
        _serve(requests, output, model, Explainer(model))
    return 0


def _reason(problem: Exception, folder: Path) -> str:
    """Return why a captioner cannot be loaded, without its path: viewers read it."""
    text = str(problem).removeprefix(f"{folder} cannot be loaded: ")
    return text.replace(str(folder), folder.name)


def _info(model: "CaptionModel") -> dict[str, Any]:
    """Return the fields of `EngineInfo`."""
    from inference.concepts import has_bank
    from inference.explanations.methods import available_methods

    card, reference = model.card, reference_of(model.folder)
    return {
        "name": card.name,
        "figures": card.figures,
        "licence": card.licence,
        "beam_width": model.default_beam_width,
        "encoder": model.encoder_name,
        "resizing": asdict(model.resizing),
        "vocabulary_size": model.vocabulary_size,
        "tags": model.has_tags,
        "hardened": model.hardened is not None,
        "concepts": has_bank(model.folder),
        "methods": [
            method.card_for(model).to_json() for method in available_methods(model).values()
        ],
        "captioner": str(replace(reference, revision=None)),
        "revision": reference.revision,
        "calibrated": model.calibrated,
        "consensus": model.consensus,
        "verified": card.verified,
        "analyses": model.analyses,
        "live_method": model.live_method,
        "max_batch": model.max_batch,
        "caption_s": _time_caption(model),
    }


def _time_caption(model: "CaptionModel") -> float:
    """Return the seconds that one caption takes, once everything is compiled."""
    noise = np.random.default_rng(0).integers(0, 256, (model.image_size, model.image_size, 3))
    begun = time.perf_counter()
    model.caption(noise.astype(np.uint8))
    return time.perf_counter() - begun


def _configure_logging() -> None:
    """Log to the original standard error, which `quiet_stderr` does not hold back."""
    handler = logging.StreamHandler(os.fdopen(os.dup(2), "w", buffering=1))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("inference")
    logger.addHandler(handler)
    logger.propagate = False


def _warm_up(model: "CaptionModel") -> None:
    """Load and compile what explanations and analyses need, before the first of them."""
    importlib.import_module("inference.engine.analysis_jobs")
    model.warm_up()


def _serve(
    requests: BinaryIO, output: BinaryIO, model: "CaptionModel", explainer: "Explainer"
) -> None:
    """Answer requests until the input ends."""
    jobs = JobScheduler(lambda message, payload: _send(output, message, payload))
    while True:
        if jobs and not select.select([requests], [], [], 0)[0]:
            jobs.run_slice()
            continue
        try:
            _handle(requests, output, model, explainer, jobs)
        except EOFError:
            return


def _handle(
    requests: BinaryIO,
    output: BinaryIO,
    model: "CaptionModel",
    explainer: "Explainer",
    jobs: JobScheduler,
) -> None:
    """Read and handle one request; its images are freed with its result or job."""
    request, payload = read_blocking(requests)
    if request["type"] == "caption":
        _send(output, {"type": "captions", "captions": _captions(model, request, payload)})
        jobs.run_slice()
    elif request["type"] == "cancel":
        jobs.cancel(request["job"])
    elif request["type"] == "analyse":
        jobs.add(request["job"], _analysis(model, request, payload), "analysis")
    else:
        jobs.add(request["job"], _explanation(explainer, request, payload))


def _captions(model: "CaptionModel", request: dict[str, Any], payload: bytes) -> list[Any]:
    """Caption the frames together, except for invalid ones."""
    # Imported here, as it loads TensorFlow, which needs the environment to be set before.
    from inference.captioning.stream_captions import caption_frames

    frames, beam_width = request["frames"], request["beam_width"]
    images = _images([frame["shape"] for frame in frames], payload)
    results: list[Any] = [_refusal(model, image, beam_width) for image in images]
    valid = [place for place, refusal in enumerate(results) if refusal is None]
    if valid:
        batch = [_frame_request(images[place], frames[place]) for place in valid]
        found = caption_frames(model, batch, beam_width)
        for place, (caption, state) in zip(valid, found, strict=True):
            results[place] = {
                "type": "caption",
                "caption": caption.to_json(),
                "state": state.to_json(),
            }
    return results


def _frame_request(image: NDArray[np.uint8], frame: dict[str, Any]) -> FrameRequest:
    state = frame["state"]
    return FrameRequest(
        image, state and StreamState.from_json(state), frame["refresh"], maps=frame["maps"]
    )


def _refusal(
    model: "CaptionModel", image: NDArray[np.uint8], beam_width: int | None
) -> dict[str, Any] | None:
    try:
        model.check(image, beam_width)
    except ValueError as problem:
        return {"type": "refused", "message": str(problem)}
    return None


def _analysis(model: "CaptionModel", request: dict[str, Any], payload: bytes) -> JobWork:
    # Imported here, as it takes seconds to load and captions do not need it.
    from inference.engine.analysis_jobs import analyse

    image, *frames = _images(request["shapes"], payload)
    tokens, kind, params = tuple(request["tokens"]), request["kind"], request["params"]
    return analyse(model, image, tokens, kind, params, frames)


def _explanation(explainer: "Explainer", request: dict[str, Any], payload: bytes) -> JobWork:
    # Imported here, as it loads TensorFlow.
    from inference.engine import explanation_jobs

    (image,) = _images(request["shapes"], payload)
    tokens, method = tuple(request["tokens"]), request["method"]
    if request["type"] == "check":
        return explanation_jobs.check(explainer, image, tokens, method, request["index"])
    target = Target.from_json(request["target"])
    return explanation_jobs.explain(explainer, image, tokens, method, target)


def _images(shapes: list[list[int]], payload: bytes) -> list[NDArray[np.uint8]]:
    parts = split(payload, map(math.prod, shapes))
    return [
        np.frombuffer(part, np.uint8).reshape(shape)
        for part, shape in zip(parts, shapes, strict=True)
    ]


def _send(output: BinaryIO, message: dict[str, Any], payload: bytes = b"") -> None:
    output.write(pack(message, payload))


if __name__ == "__main__":
    folder, precision, layer, *chosen = sys.argv[1:]
    sys.exit(
        main(
            Path(folder),
            cast(Precision, precision),
            int(layer) if layer else None,
            explains="captions-only" not in chosen,
            consensus="no-consensus" not in chosen,
        )
    )
