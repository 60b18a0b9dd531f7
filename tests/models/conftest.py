"""Fixtures: small decoders, captioners and datasets."""

import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from models.captioner.captioner import Captioner, CaptionerConfig
from models.captioner.decoder import Decoder, DecoderConfig
from models.encoders.pretrained import assign_torch_state
from models.language import SPECIAL_WORDS, Vocabulary
from tests.support.captioners.small_encoders import THIN_LITE, assign_synthetic_weights, thin_lite
from tests.support.oracle.encoder import make_state

CHANNELS = 12
WORDS = (*SPECIAL_WORDS, "a", "dog", "'s", "ball", "on", "grass", "runs", "red")
SMALL = DecoderConfig(
    len(WORDS),
    width=32,
    embedding=16,
    heads=2,
    embedding_dropout=0.0,
    grid_dropout=0.0,
    output_dropout=0.0,
)

MakeDecoder = Callable[..., Decoder]
MakeFlickr8k = Callable[[Path, Mapping[str, Mapping[str, Sequence[str]]]], None]


@pytest.fixture
def make_decoder() -> MakeDecoder:
    """A function that makes a small decoder with random weights for grids of `CHANNELS`.

    It takes a seed and fields of `DecoderConfig`. By default there is no dropout.
    """

    def make(seed: int = 0, **fields: Any) -> Decoder:
        config = replace(SMALL, **fields)
        decoder = Decoder(config, name="decoder")
        decoder.build_for(CHANNELS)
        randomize(decoder, seed)
        return decoder

    return make


@pytest.fixture(scope="session")
def thin_encoder() -> Iterator[str]:
    """The name of an encoder that is quick to build, in this process."""
    with thin_lite():
        yield THIN_LITE


@pytest.fixture(scope="session")
def lite0_captioner() -> Captioner:
    """A captioner with a small decoder and random weights everywhere. Tests must not change it."""
    made = Captioner(CaptionerConfig("efficientnet-lite0", 64, SMALL), Vocabulary(WORDS))
    randomize(made.decoder, seed=5)
    assign_torch_state(made.encoder, make_state("efficientnet-lite0"))
    return made


@pytest.fixture(scope="session")
def captioner(thin_encoder: str) -> Captioner:
    """The same with another encoder, which is quicker to build, to save and to load."""
    made = Captioner(CaptionerConfig(thin_encoder, 64, SMALL), Vocabulary(WORDS))
    randomize(made.decoder, seed=5)
    assign_synthetic_weights(made.encoder)
    return made


@pytest.fixture(scope="session")
def make_flickr8k() -> MakeFlickr8k:
    """A function that writes a dataset in Flickr8k's layout: captions by image name, by split.

    The two halves of an image have colours derived from its name. Splits: train, dev, test, extra.
    """

    def make(folder: Path, splits: Mapping[str, Mapping[str, Sequence[str]]]) -> None:
        (folder / "Images").mkdir(parents=True)
        lines = []
        for split in ("train", "dev", "test"):
            names = splits.get(split, {})
            listed = "".join(f"{name}\n" for name in names)
            (folder / f"Flickr_8k.{split}Images.txt").write_text(listed, encoding="utf-8")
        for examples in splits.values():
            for name, captions in examples.items():
                lines += [f"{name}#{i}\t{text}\n" for i, text in enumerate(captions)]
                assert cv2.imwrite(str(folder / "Images" / name), named_image(name)[..., ::-1])
        (folder / "Flickr8k.token.txt").write_text("".join(lines), encoding="utf-8")

    return make


def named_image(name: str) -> NDArray[np.uint8]:
    """Make the RGB image of this name, uint8 [48, 64, 3]: a left and a right colour."""
    colours = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (2, 3))
    halves = np.zeros((48, 64, 3), np.uint8)
    halves[:, :32], halves[:, 32:] = colours
    return halves


def randomize(decoder: Decoder, seed: int) -> None:
    """Randomize all weights so that previous words and the grid both affect the next word."""
    random = np.random.default_rng(seed)
    for weight in decoder.weights:
        if weight is decoder.embedding.embeddings:
            weight.assign(random.normal(0, 1, weight.shape))
        elif len(weight.shape) == 2:
            weight.assign(random.normal(0, 2 / weight.shape[0] ** 0.5, weight.shape))
        else:
            weight.assign_add(random.normal(0, 0.2, weight.shape))


def random_grids(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Make grids [count, 3, 2, CHANNELS] without negative values, like those of an encoder."""
    random = np.random.default_rng(seed)
    return random.uniform(0, 2, (count, 3, 2, CHANNELS)).astype(np.float32)
