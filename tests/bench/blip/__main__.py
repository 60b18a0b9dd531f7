"""Time captions by BLIP at full size with random weights.

    python -m tests.bench.blip [--size large] [--transformers PYTHON]

PYTHON is an interpreter whose environment has torch and transformers; the two then caption the same
image in turn. Prints medians and, in brackets, the smallest and the largest value.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from skimage import data

from inference.captioners.blip.encoder import BlipEncoder
from inference.captioners.blip.int8_decoder import Int8Decoder
from inference.captioning import Precision
from inference.captioning.model import CaptionModel
from inference.startup import encoder_threads, use_one_thread
from models.blip import SearchConfig, beam_search, load_blip, teacher_forced_captions
from models.captioner import BeamCaption
from models.graph import graph
from tests.bench.blip.random_checkpoint import SIZES, write_random_checkpoint
from tests.bench.machine import load_average, machine_facts

_SEARCH = SearchConfig(width=3, max_length=12)
_WIDEST = max(CaptionModel.beam_widths)
_PRECISIONS: tuple[Precision, ...] = ("float32", "int8")


class Captioner:
    """BLIP as Sightline runs it."""

    def __init__(self, folder: Path) -> None:
        self._blip = blip = load_blip(folder)
        self.encoders: dict[Precision, BlipEncoder] = {}
        decoder = blip.decoder
        self._project: dict[Precision, Any] = {"float32": graph(decoder.build_memory)}
        self._search: dict[Precision, Any] = {
            "float32": graph(lambda memory: beam_search(decoder, memory, _SEARCH))
        }
        self._score = graph(
            lambda memory, tokens: teacher_forced_captions(decoder, memory, tokens, _SEARCH)
        )

    def load(self, precision: Precision) -> None:
        """Convert what is converted; later runs load it from the cache."""
        threads = encoder_threads()
        self.encoders[precision] = BlipEncoder(self._blip, precision, threads)
        if precision == "int8":
            decoder = Int8Decoder(self._blip, _WIDEST, _SEARCH.max_length, threads)
            self._project[precision] = decoder.project
            self._search[precision] = decoder.searcher(_SEARCH)

    def caption(self, image: Any, precision: Precision) -> tuple[dict[str, float], Any, Any]:
        """Return the seconds of each part, the image's tokens and the caption."""
        started = time.perf_counter()
        pixels = self._blip.image.resizing.apply(image)
        image_tokens = self.encoders[precision](pixels[None])
        encoded = time.perf_counter()
        memory = self._project[precision](image_tokens)
        projected = time.perf_counter()
        found = BeamCaption(*(np.asarray(part) for part in self._search[precision](memory)))
        done = time.perf_counter()
        seconds = {
            "encoder": encoded - started,
            "keys and values": projected - encoded,
            "search": done - projected,
            "total": done - started,
        }
        return seconds, image_tokens, found

    def deviation(self, images: Iterable[Any]) -> Iterator[str]:
        """Compare int8 with float32, line by line."""
        encodings, log_probs, differ = [], [], []
        for image in images:
            _, exact, expected = self.caption(image, "float32")
            _, near, found = self.caption(image, "int8")
            encodings.append(np.linalg.norm(near - exact) / np.linalg.norm(exact))
            rescored = self._score(self._project["float32"](exact), found.tokens)
            log_probs.append(np.abs(rescored.search_log_probs - found.search_log_probs))
            differ.append(found.tokens != expected.tokens)
        yield f"int8, {len(differ)} images: image tokens deviate by {np.mean(encodings):.1%}"
        yield f"log-probabilities of tokens deviate by {np.mean(log_probs):.3f} on average"
        yield f"tokens that differ: {np.mean(differ):.0%}"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", choices=SIZES, default=SIZES[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--transformers", metavar="PYTHON")
    options = parser.parse_args()
    use_one_thread()
    facts = machine_facts()
    print(f"{facts['cores']} cores of {facts['processor']}, load average {load_average()}")
    image = data.astronaut()  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Not the user's cache: the conversions would take the place of those in use.
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        write_random_checkpoint(folder, options.size)
        np.save(folder / "image.npy", image)
        print(f"memory before loading: {_memory_mb():.0f} MB")
        captioner = Captioner(folder)
        for precision in _PRECISIONS:
            captioner.load(precision)
            captioner.caption(image, precision)
            print(f"memory with {precision}: {_memory_mb():.0f} MB")
        with _transformers(options.transformers, folder) as reference:
            _measure(captioner, reference, image, options.rounds)
        for line in captioner.deviation(_images()):
            print(line)


def _measure(captioner: Captioner, reference: Any, image: Any, rounds: int) -> None:
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        answers = {}
        for precision in captioner.encoders:
            seconds, _, found = captioner.caption(image, precision)
            answers[precision] = found.tokens[0].tolist()
            for part, value in seconds.items():
                times[f"{part}, {precision}"].append(value)
        if reference:
            answer = _ask(reference)
            for part, value in answer["seconds"].items():
                times[f"{part}, transformers"].append(value)
            for precision in captioner.encoders:
                ratio = times["total, transformers"][-1] / times[f"total, {precision}"][-1]
                times[f"transformers / {precision}"].append(ratio)
    for part, values in times.items():
        print(f"{part}: {np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    if reference:
        print(f"same caption as transformers: {answers['float32'] == answer['tokens']}")


def _images() -> Iterator[Any]:
    """Yield photographs, each turned four times."""
    for photograph in (data.astronaut(), data.chelsea(), data.coffee()):  # type: ignore[no-untyped-call]
        yield from (np.rot90(photograph, turns) for turns in range(4))


@contextmanager
def _transformers(python: str | None, folder: Path) -> Iterator[Any]:
    """Start the captioner of `transformers`; yields None without an interpreter."""
    if python is None:
        yield None
        return
    script = Path(__file__).parent / "transformers_captioner.py"
    image = str(folder / "image.npy")
    command = [python, str(script), str(folder), image, str(_SEARCH.width), str(_SEARCH.max_length)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        _ask(process)
        yield process
    finally:
        process.kill()
        process.communicate()


def _ask(process: Any) -> Any:
    process.stdin.write("\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def _memory_mb() -> float:
    """Return the resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


if __name__ == "__main__":
    main()
