"""The grids of the last few pictures, so that what is asked of them next need not encode again.

Captions of pictures: the captioner as compiled graphs, the encoder apart from the search.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Caption, Tag, Timing
from inference.captioning.decoding import Decoding, Reader
from inference.captioning.int8 import Precision, read_int8
from inference.captioning.lite_encoder import LiteEncoder, lite_encoder
from inference.explanations.gradients import Graphs
from inference.explanations.live import live_maps
from inference.startup import encoder_threads
from models.calibration import Tagger
from models.captioner import BeamCaption, Decoder
from models.checkpoint import Card, load
from models.hardening import load_hardened
from models.language import END, sentence
from models.preprocessing import squeeze

_MOST = 8
"""Pictures: of as many streams the newest."""

BEAM_WIDTHS = range(1, 6)


class RecentGrids:
    """Grids by picture, the newest only."""

    def __init__(self) -> None:
        self._grids: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()

    def keep(self, image: NDArray[np.uint8], grid: NDArray[np.float32]) -> None:
        """Keep the grid of a picture, in place of the oldest if there are too many."""
        key = _digest(image)
        self._grids[key] = grid
        self._grids.move_to_end(key)
        if len(self._grids) > _MOST:
            self._grids.popitem(last=False)

    def all(self) -> list[NDArray[np.float32]]:
        """Return the grids that are kept, the newest first."""
        return list(reversed(self._grids.values()))

    def find(self, image: NDArray[np.uint8]) -> NDArray[np.float32] | None:
        """Return the grid of a picture of exactly these pixels, if it is kept."""
        return self._grids.get(_digest(image))


def _digest(image: NDArray[np.uint8]) -> bytes:
    return hashlib.sha1(f"{image.shape}".encode() + image.tobytes(), usedforsecurity=False).digest()


class CaptionModel:
    """A loaded captioner, ready to caption a few pictures at a time."""

    folder: Path
    """From which it was loaded, with what belongs to it."""
    card: Card
    image_size: int
    """Side of the square that pictures are squeezed into, in pixels."""
    vocabulary_size: int
    encoder_name: str
    graphs: Graphs
    """What explanations compute with."""
    hardened: Decoding | None
    """The decoder hardened against attacks that came with the captioner, if one did."""
    recent: RecentGrids
    """Of the pictures that streams showed last, for their explanations."""

    def __init__(self, folder: Path, precision: Precision = "float32") -> None:
        """Load the captioner and compile it for its own beam width.

        Args:
            folder: The captioner's.
            precision: What the encoder computes in.

        Raises:
            models.checkpoint.ReleaseError: If the folder holds no captioner that can be run, or
            what lies beside it belongs to another.
            inference.captioning.int8.QuantizedError: If it holds no encoder of that precision.
        """
        self.folder = folder
        self.captioner, self.card = load(folder)
        self.image_size = self.captioner.config.image_size
        self.vocabulary_size = len(self.captioner.vocabulary)
        self.encoder_name = self.captioner.config.encoder
        self._encoder = self._load_encoder(folder, precision)
        self._reader = Reader(self.captioner.vocabulary, self.card.doubt)
        self._decoding = self._decoding_of(self.captioner.decoder)
        hardened = load_hardened(folder, self.captioner)
        self.hardened = self._decoding_of(hardened) if hardened else None
        classifier, calibration = self.captioner.classifier, self.card.tags
        self._tagger = Tagger(classifier, calibration) if classifier and calibration else None
        self.graphs = Graphs(self.captioner, self._tagger)
        self.recent = RecentGrids()
        self._warm_up()

    def caption(self, image: NDArray[np.uint8], beam_width: int | None = None) -> Caption:
        """Caption one picture; see `captions`."""
        return self.captions([image], beam_width)[0]

    def captions(
        self, images: Sequence[NDArray[np.uint8]], beam_width: int | None = None
    ) -> list[Caption]:
        """Caption pictures together.

        Args:
            images: RGB, each uint8 [H, W, 3] of any size; one at least.
            beam_width: One of `BEAM_WIDTHS`; the captioner's own when None. The first caption of
                another width takes some seconds longer, while its graph is compiled.

        Returns:
            The caption of each picture, as it would be alone.

        Raises:
            ValueError: If an image or the beam width is none of these.
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
            self.read(BeamCaption(*(part[index] for part in found)), grids[index], timing)
            for index in range(len(images))
        ]

    def check(self, image: NDArray[np.uint8], beam_width: int | None = None) -> None:
        """Refuse what cannot be captioned.

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
        """Compute the grids that the decoder looks at.

        Args:
            images: RGB, each uint8 [H, W, 3] of any size.

        Returns:
            float32 [B, rows, columns, channels].
        """
        return self.encode_pixels(np.stack([squeeze(image, self.image_size) for image in images]))

    def encode_pixels(self, pixels: NDArray[np.uint8 | np.float32]) -> NDArray[np.float32]:
        """Compute the grids of pictures of the captioner's own size.

        Args:
            pixels: RGB in 0..255, [B, S, S, 3].

        Returns:
            float32 [B, rows, columns, channels].
        """
        return self._encoder(pixels)

    def search(self, grids: NDArray[np.float32], beam_width: int | None = None) -> BeamCaption:
        """Find the best caption of each grid.

        Args:
            grids: float32 [B, rows, columns, channels].
            beam_width: One of `BEAM_WIDTHS`; the captioner's own when None.

        Returns:
            Its parts as arrays, B first.
        """
        return self._decoding.search(grids, beam_width)

    def retell(self, grids: NDArray[np.float32], captions: Sequence[Sequence[int]]) -> BeamCaption:
        """Tell how likely captions are that may not be the best ones.

        Args:
            grids: float32 [B, rows, columns, channels].
            captions: The tokens of one for each grid, as a search found them, without padding.

        Returns:
            As `search`.
        """
        return self._decoding.retell(grids, captions)

    def read(
        self,
        found: BeamCaption,
        grid: NDArray[np.float32],
        timing: Timing,
        before: Caption | None = None,
    ) -> Caption:
        """Read one picture's caption; see `Reader.read`."""
        return self._reader.read(found, grid, self.tags(grid), timing, before)

    @property
    def has_tags(self) -> bool:
        """Whether captions come with tags: else `tags` never finds any."""
        return self._tagger is not None

    def tags(self, grid: NDArray[np.float32]) -> tuple[Tag, ...]:
        """Tell what is surely in a picture, the surest first; see `models.calibration.tags`.

        Args:
            grid: [rows, columns, channels].
        """
        if self._tagger is None:
            return ()
        found = self._tagger.choose(self.graphs.tag_logits(grid[None])[0])
        return tuple(Tag(name, round(prob, 4)) for name, prob in found)

    def text(self, tokens: NDArray[np.int32]) -> str:
        """Write tokens as a sentence."""
        return sentence(self.captioner.vocabulary.decode(tokens.tolist()))

    def _warm_up(self) -> None:
        """Compile what every caption needs."""
        blank = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        for number in (1, 2):
            self.captions([blank] * number)
        grid = self.encode([blank])
        told = self.retell(grid, [(END,)])
        live_maps(self.graphs, grid, [BeamCaption(*(part[0] for part in told))])

    def _load_encoder(self, folder: Path, precision: Precision) -> LiteEncoder:
        if precision == "int8":
            model, _ = read_int8(folder)
            return LiteEncoder(model, encoder_threads())
        return lite_encoder(self.captioner.encoder, encoder_threads())

    def _decoding_of(self, decoder: Decoder) -> Decoding:
        return Decoding(decoder, self.captioner.encoder.output_shape[1:], self.card)
