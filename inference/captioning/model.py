"""A loaded captioner: LiteRT encoder, compiled decoder, tagger and explanation graphs."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Caption, Tag, Timing
from inference.captioning.decoding import CaptionBuilder, CompiledDecoder
from inference.captioning.int8 import Precision, read_int8
from inference.captioning.lite_encoder import LiteEncoder, lite_encoder
from inference.explanations.gradients import Graphs
from inference.explanations.live import live_maps
from inference.startup import encoder_threads
from models.calibration import Tagger
from models.captioner import BeamCaption, Decoder
from models.checkpoint import ModelCard, load
from models.hardening import load_hardened
from models.language import END, sentence
from models.preprocessing import resize_to_square

BEAM_WIDTHS = range(1, 6)

_CACHED_GRIDS = 8
"""Frames: the newest of as many streams."""


class CaptionModel:
    """A loaded captioner, ready to caption a few images at a time."""

    folder: Path
    """Folder of its checkpoint."""
    card: ModelCard
    image_size: int
    """Side of the encoder's square input, in pixels."""
    vocabulary_size: int
    encoder_name: str
    graphs: Graphs
    """The graphs that explanations use."""
    hardened: CompiledDecoder | None
    """The decoder hardened against attacks, if the checkpoint has one."""
    grid_cache: "GridCache"
    """Grids of the latest frames of streams, which explanations reuse."""

    def __init__(self, folder: Path, precision: Precision = "float32") -> None:
        """Load the captioner and compile it for its own beam width.

        Args:
            folder: Folder of its checkpoint.
            precision: Numeric precision of the encoder.

        Raises:
            models.checkpoint.CheckpointError: If the folder has no usable captioner, or files that
                belong to another one.
            inference.captioning.QuantizedError: If it has no encoder of that precision.
        """
        self.folder = folder
        self.captioner, self.card = load(folder)
        self.image_size = self.captioner.config.image_size
        self.vocabulary_size = len(self.captioner.vocabulary)
        self.encoder_name = self.captioner.config.encoder
        self._encoder = self._load_encoder(folder, precision)
        self._builder = CaptionBuilder(self.captioner.vocabulary, self.card.confidence)
        self._decoder = self._compiled(self.captioner.decoder)
        hardened = load_hardened(folder, self.captioner)
        self.hardened = self._compiled(hardened) if hardened else None
        classifier, calibration = self.captioner.classifier, self.card.tags
        self._tagger = Tagger(classifier, calibration) if classifier and calibration else None
        self.graphs = Graphs(self.captioner, self._tagger)
        self.grid_cache = GridCache()
        self._warm_up()

    def caption(self, image: NDArray[np.uint8], beam_width: int | None = None) -> Caption:
        """Caption one image; see `captions`."""
        return self.captions([image], beam_width)[0]

    def captions(
        self, images: Sequence[NDArray[np.uint8]], beam_width: int | None = None
    ) -> list[Caption]:
        """Caption images together.

        Args:
            images: At least one, RGB, uint8 [H, W, 3] of any size.
            beam_width: One of `BEAM_WIDTHS`; the captioner's own when None. The first caption of
                another width takes some seconds longer, while its graph is compiled.

        Returns:
            The caption of each image, the same as if it were captioned alone.

        Raises:
            ValueError: If an image or the beam width is invalid.
        """
        for image in images:
            self.check(image, beam_width)
        begun = time.perf_counter()
        grids = self.encode(images)
        encoded = time.perf_counter()
        found = self.search(grids, beam_width)
        decoded = time.perf_counter()
        timing = Timing(encoder=(encoded - begun) * 1e3, decoder=(decoded - encoded) * 1e3)
        return [
            self.build_caption(BeamCaption(*(part[index] for part in found)), grids[index], timing)
            for index in range(len(images))
        ]

    def check(self, image: NDArray[np.uint8], beam_width: int | None = None) -> None:
        """Validate an image and a beam width.

        Raises:
            ValueError: If the image is not RGB, uint8 [H, W, 3], or there is no such beam width.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"an image is uint8 [H, W, 3], not {image.dtype} {image.shape}")
        if beam_width is not None and beam_width not in BEAM_WIDTHS:
            raise ValueError(
                f"beam width {beam_width} is not in {BEAM_WIDTHS[0]}..{BEAM_WIDTHS[-1]}"
            )

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Compute the grids of images.

        Args:
            images: RGB, uint8 [H, W, 3] of any size.

        Returns:
            float32 [B, rows, columns, channels].
        """
        side = self.image_size
        return self.encode_pixels(np.stack([resize_to_square(image, side) for image in images]))

    def encode_pixels(self, pixels: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        """Compute the grids of images that have the encoder's input size.

        Args:
            pixels: RGB in 0..255, [B, S, S, 3].

        Returns:
            float32 [B, rows, columns, channels].
        """
        return self._encoder(pixels)

    def search(self, grids: NDArray[np.float32], beam_width: int | None = None) -> BeamCaption:
        """Find the best caption of each grid by beam search.

        Args:
            grids: float32 [B, rows, columns, channels].
            beam_width: One of `BEAM_WIDTHS`; the captioner's own when None.

        Returns:
            The captions as arrays, B first.
        """
        return self._decoder.search(grids, beam_width)

    def rescore(self, grids: NDArray[np.float32], captions: Sequence[Sequence[int]]) -> BeamCaption:
        """Compute the log-probabilities of given captions by teacher forcing.

        Args:
            grids: float32 [B, rows, columns, channels].
            captions: The tokens of one caption for each grid, in the form that the search returns,
                without padding.

        Returns:
            The captions as arrays, as `search` returns them.
        """
        return self._decoder.rescore(grids, captions)

    def build_caption(
        self,
        found: BeamCaption,
        grid: NDArray[np.float32],
        timing: Timing,
        previous: Caption | None = None,
    ) -> Caption:
        """Build the caption of one image, with its tags; see `CaptionBuilder.build`."""
        return self._builder.build(found, grid, self.tags(grid), timing, previous)

    @property
    def has_tags(self) -> bool:
        """Whether captions can have tags."""
        return self._tagger is not None

    def tags(self, grid: NDArray[np.float32]) -> tuple[Tag, ...]:
        """Return the tags of an image, the most probable first; see `models.calibration.tags`.

        Args:
            grid: [rows, columns, channels].
        """
        if self._tagger is None:
            return ()
        found = self._tagger.choose(self.graphs.tag_logits(grid[None])[0])
        return tuple(Tag(name, round(prob, 4)) for name, prob in found)

    def text(self, tokens: NDArray[np.int32]) -> str:
        """Return tokens as a sentence."""
        return sentence(self.captioner.vocabulary.decode(tokens.tolist()))

    def _warm_up(self) -> None:
        """Compile what every caption needs."""
        blank = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        for number in (1, 2):
            self.captions([blank] * number)
        grid = self.encode([blank])
        rescored = self.rescore(grid, [(END,)])
        live_maps(self.graphs, grid, [BeamCaption(*(part[0] for part in rescored))])

    def _load_encoder(self, folder: Path, precision: Precision) -> LiteEncoder:
        if precision == "int8":
            model, _ = read_int8(folder)
            return LiteEncoder(model, encoder_threads())
        return lite_encoder(self.captioner.encoder, encoder_threads())

    def _compiled(self, decoder: Decoder) -> CompiledDecoder:
        return CompiledDecoder(decoder, self.captioner.encoder.output_shape[1:], self.card)


class GridCache:
    """The grids of the latest images, so that explanations need not encode it again."""

    def __init__(self) -> None:
        self._grids: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def put(self, image: NDArray[np.uint8], grid: NDArray[np.float32]) -> None:
        """Store the grid of an image, in place of the oldest if the cache is full."""
        key = _digest(image)
        self._grids[key] = grid
        self._grids.move_to_end(key)
        if len(self._grids) > _CACHED_GRIDS:
            self._grids.popitem(last=False)

    def get(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the grid of an image with exactly these pixels, or None."""
        return self._grids.get(_digest(image))

    def values(self) -> list[NDArray[np.float32]]:
        """Return all grids, the newest first."""
        return list(reversed(self._grids.values()))


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.sha1(f"{image.shape}".encode() + image.tobytes(), usedforsecurity=False).digest()
