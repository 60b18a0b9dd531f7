"""What a captioner is and can do, and a self-test that its user can send to the maintainers.

The published weights differ from the small random ones of the tests, so a report from a machine
that has them shows whether they work. It has no paths, host names or images of the user's.
"""

import json
import os
import platform
import re
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.captioning.model import CaptionModel
from inference.concepts import has_bank
from inference.explanations.methods import available_methods
from models.captioner import BeamCaption
from models.catalogue import WEIGHTS, CaptionerReference, read_architecture
from models.catalogue.installed import format_size
from models.digests import WEIGHTS as OWN_WEIGHTS
from models.digests import file_sha256

PHOTOGRAPHS = ("astronaut.png", "chelsea.png", "coffee.png")
"""Photographs that scikit-image ships."""

_LIBRARIES = ("sightline", "tensorflow-cpu", "tensorflow", "keras", "ai-edge-litert", "numpy")
_CPU_INFO = Path("/proc/cpuinfo")
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Measured:
    """The result for one photograph."""

    name: str
    text: str
    log_prob: float
    """Of the caption, at temperature 1."""
    encoder_ms: float
    decoder_ms: float
    maps_ms: float
    """Of the live maps of all words."""
    faults: tuple[str, ...]
    """What is wrong with it; empty if nothing is."""


def describe(model: CaptionModel, reference: CaptionerReference) -> Iterator[str]:
    """Yield what a captioner is and can do, line by line.

    Args:
        model: The captioner.
        reference: What it was chosen by.
    """
    card = model.card
    files = [path for path in model.folder.iterdir() if path.is_file()]
    rows, columns = model.grid_size
    measure = (
        f"measure: python -m inference.faithfulness --captioner {reference} --data DIR "
        "--part choosing"
    )
    calibrate = f"calibrate: python -m models.calibrate --captioner {reference} --data DIR"
    methods = available_methods(model)
    live = model.live_method
    yield f"captioner     {reference}"
    yield f"name          {card.name}"
    yield f"licence       {card.licence}"
    yield f"training data {card.data}"
    yield f"encoder       {model.encoder_name}, {model.image_size} px, {rows}x{columns} cells"
    yield f"vocabulary    {model.vocabulary_size} tokens"
    yield f"weights       {count_weights(model.folder) / 1e6:.1f} million values"
    yield f"files         {format_size(sum(path.stat().st_size for path in files))}"
    yield f"confidence    {'calibrated' if model.calibrated else f'not calibrated; {calibrate}'}"
    yield f"verified maps {', '.join(card.verified) or f'none; {measure}'}"
    yield f"live map      {live}{'' if live in card.verified else ' (not verified)'}"
    yield f"explanations  {', '.join(methods)}"
    yield f"analyses      {', '.join(model.analyses) or 'none'}"
    yield f"consensus     {'yes' if model.consensus else 'no'}"
    yield f"tags          {'yes' if model.has_tags else 'no'}"
    yield f"concept bank  {'yes' if has_bank(model.folder) else 'no'}"


def count_weights(folder: Path) -> int:
    """Return the number of stored weights of the captioner in a folder."""
    if read_architecture(folder) == "sightline":
        with np.load(folder / OWN_WEIGHTS) as arrays:
            return sum(arrays[name].size for name in arrays.files)
    with (folder / WEIGHTS).open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    shapes = (each["shape"] for name, each in header.items() if name != "__metadata__")
    return sum(int(np.prod(shape)) for shape in shapes)


def self_test(model: CaptionModel) -> Iterator[Measured]:
    """Caption and explain photographs, and measure how long it takes.

    Yields:
        The result for each of `PHOTOGRAPHS`.
    """
    for name in PHOTOGRAPHS:
        image = _read_photograph(name)
        rounds = [_measure(model, name, image) for _ in range(_ROUNDS)]
        # The first compiles what later ones use.
        yield min(rounds[1:], key=lambda each: each.encoder_ms + each.decoder_ms + each.maps_ms)


def report(
    model: CaptionModel, reference: CaptionerReference, results: Sequence[Measured]
) -> Iterator[str]:
    """Yield the report that a user can send, line by line.

    Args:
        model: The captioner that was tested.
        reference: What it was chosen by.
        results: From `self_test`.
    """
    # Without the path of a folder, which may name the user.
    name = Path(reference.value).name if reference.kind == "folder" else str(reference)
    yield f"captioner: {name} ({model.encoder_name})"
    yield f"software: {', '.join(_versions())}"
    yield f"machine: {', '.join(_machine())}"
    for path in sorted(model.folder.iterdir()):
        if path.suffix in (".json", ".txt", ".npz", ".safetensors"):
            yield f"{path.name}: sha256 {file_sha256(path)}"
    rows, columns = model.grid_size
    for each in results:
        times = (
            f"encoder {each.encoder_ms:.0f} ms, decoder {each.decoder_ms:.0f} ms, "
            f"maps {each.maps_ms:.0f} ms"
        )
        yield f"{each.name}: {each.text!r}, log-probability {each.log_prob:.3f}; {times}"
        yield from (f"{each.name}: FAULT: {fault}" for fault in each.faults)
    yield f"maps: {model.live_method}, {rows}x{columns}"
    # Kilobytes on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    yield f"memory: {format_size(peak)} at most"
    yield f"result: {'FAILED' if any(each.faults for each in results) else 'passed'}"


def _measure(model: CaptionModel, name: str, image: NDArray[np.uint8]) -> Measured:
    times = [time.perf_counter()]
    encodings = model.encode([image])
    times.append(time.perf_counter())
    found = model.search(encodings)
    times.append(time.perf_counter())
    caption = BeamCaption(*(part[0] for part in found))
    (maps,) = model.live_maps(encodings, [caption])
    times.append(time.perf_counter())
    encoder_ms, decoder_ms, maps_ms = (1e3 * float(each) for each in np.diff(times))
    text, log_prob = model.text(caption.tokens), float(np.sum(caption.search_log_probs))
    values = [each.values for each in (*maps.words, maps.caption)]
    checks = {
        "the encoding is not finite": np.isfinite(encodings).all(),
        "there is no caption": bool(text),
        "the log-probability is not finite": np.isfinite(log_prob),
        "a map is not finite": all(np.isfinite(each).all() for each in values),
        "a map has the wrong shape": all(each.shape == model.grid_size for each in values),
        "every map is empty": any(each.any() for each in values),
    }
    faults = tuple(fault for fault, holds in checks.items() if not holds)
    return Measured(name, text, log_prob, encoder_ms, decoder_ms, maps_ms, faults)


def _read_photograph(name: str) -> NDArray[np.uint8]:
    # Not imported: loading the package takes a second.
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        raise ValueError("the self-test needs scikit-image; run pip install scikit-image")
    image = cv2.imread(str(Path(spec.origin).parent / "data" / name))
    if image is None:
        raise ValueError(f"scikit-image has no {name}; reinstall it")
    return np.ascontiguousarray(image[..., ::-1])


def _versions() -> Iterator[str]:
    yield f"Python {platform.python_version()}"
    for library in _LIBRARIES:
        try:
            yield f"{library} {version(library)}"
        except PackageNotFoundError:
            continue


def _machine() -> Iterator[str]:
    yield f"{platform.system()} {platform.machine()}"
    yield f"{len(os.sched_getaffinity(0))} CPUs"
    try:
        found = re.search(r"^model name\s*: (.*)$", _CPU_INFO.read_text(encoding="utf-8"), re.M)
    except OSError:
        return
    if found:
        yield found[1]
