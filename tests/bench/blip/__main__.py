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
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from skimage import data

from inference.captioners.blip.encoder import BlipEncoder
from inference.captioning import Precision
from inference.startup import encoder_threads, use_one_thread
from models.blip import SearchConfig, beam_search, load_blip
from models.graph import graph
from tests.bench.blip.random_checkpoint import SIZES, write_random_checkpoint
from tests.bench.machine import load_average, machine_facts

_WIDTH, _LENGTH = 3, 12
"""The search: beam width and tokens of each caption."""
_PRECISIONS: tuple[Precision, ...] = ("float32", "int8")


class Captioner:
    """BLIP as Sightline runs it."""

    def __init__(self, folder: Path) -> None:
        self._blip = blip = load_blip(folder)
        self.encoders: dict[Precision, BlipEncoder] = {}
        decoder, config = blip.decoder, SearchConfig(width=_WIDTH, max_length=_LENGTH)
        self._memory = graph(decoder.build_memory)
        self._search = graph(lambda memory: beam_search(decoder, memory, config).tokens)

    def load_encoder(self, precision: Precision) -> None:
        """Convert an encoder, which later runs load from the cache."""
        self.encoders[precision] = BlipEncoder(self._blip, precision, encoder_threads())

    def caption(self, image: Any, precision: Precision) -> tuple[dict[str, float], Any, list[int]]:
        """Return the seconds of each part, the image's tokens and the caption's."""
        started = time.perf_counter()
        pixels = self._blip.image.resizing.apply(image)
        image_tokens = self.encoders[precision](pixels[None])
        encoded = time.perf_counter()
        memory = self._memory(tf.constant(image_tokens))
        projected = time.perf_counter()
        tokens = np.asarray(self._search(memory))[0].tolist()
        done = time.perf_counter()
        seconds = {
            "encoder": encoded - started,
            "keys and values": projected - encoded,
            "search": done - projected,
            "total": done - started,
        }
        return seconds, image_tokens, tokens


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
            captioner.load_encoder(precision)
            captioner.caption(image, precision)
            print(f"memory with the encoder in {precision}: {_memory_mb():.0f} MB")
        with _transformers(options.transformers, folder) as reference:
            _measure(captioner, reference, image, options.rounds)


def _measure(captioner: Captioner, reference: Any, image: Any, rounds: int) -> None:
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        answers = {}
        for precision in captioner.encoders:
            seconds, image_tokens, tokens = captioner.caption(image, precision)
            answers[precision] = image_tokens, tokens
            for part, value in seconds.items():
                times[f"{part}, {precision} encoder"].append(value)
        if reference:
            answer = _ask(reference)
            for part, value in answer["seconds"].items():
                times[f"{part}, transformers"].append(value)
            ratio = times["total, transformers"][-1] / times["total, float32 encoder"][-1]
            times["transformers / float32"].append(ratio)
    for part, values in times.items():
        print(f"{part}: {np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})")
    exact, quantized = answers["float32"], answers["int8"]
    deviation = np.linalg.norm(quantized[0] - exact[0]) / np.linalg.norm(exact[0])
    print(
        f"int8: image tokens deviate by {deviation:.1%}, same caption: {quantized[1] == exact[1]}"
    )
    if reference:
        print(f"same caption as transformers: {exact[1] == answer['tokens']}")


@contextmanager
def _transformers(python: str | None, folder: Path) -> Iterator[Any]:
    """Start the captioner of `transformers`; yields None without an interpreter."""
    if python is None:
        yield None
        return
    script = Path(__file__).parent / "transformers_captioner.py"
    image = str(folder / "image.npy")
    command = [python, str(script), str(folder), image, str(_WIDTH), str(_LENGTH)]
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
