"""The interface of a captioner that all of `inference` is written over.

`inference.captioners` holds the implementations. An encoding is what an image's pixels become: one
array whose layout only the captioner knows (a grid of cells, or tokens with a class token in
front); `CaptionModel.cells` returns the part of it that lies over the image. Shapes below: B
images, S the encoder's input size, T places of a caption, C channels; `...` is an encoding's shape.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
from numpy.typing import NDArray

from inference.captioning.caption import Caption, Tag, Timing
from inference.captioning.decoding import CaptionBuilder
from inference.captioning.grid_cache import GridCache
from inference.captioning.hardened import HardenedModels
from inference.captioning.objective import AttackObjective, LogitTerms, TokenScores
from inference.captioning.stream_state import Steadiness
from inference.captioning.wording import Wording
from inference.explanations import CaptionMaps
from inference.explanations.map_head import load_head
from inference.explanations.token_maps import LEARNED, live_maps
from models.captioner import BeamCaption
from models.checkpoint import ModelCard
from models.measured import measured_card
from models.preprocessing import Resizing

Array = NDArray[np.float32]
Image = NDArray[np.uint8]
Tokens = NDArray[np.int32]


class Ability(StrEnum):
    """What only some captioners can do; the rest of `CaptionModel` all of them can."""

    GRADIENTS = "gradients at the encoding"
    """`gradient`."""
    PIXEL_GRADIENTS = "gradients at the pixels"
    """`pixel_gradient`."""
    ATTACK_GRADIENTS = "gradients of attacks"
    """`attack_gradient`."""
    ATTENTION = "attention weights"
    """`attention`."""
    TAGS = "tags"
    """`tags`, `tag_logits` and `tag_gradient`."""
    CONCEPT_BANK = "concept bank"
    """A concept bank can be fitted for it, and is kept in its folder; `visualise`."""
    VARIABLE_WEIGHTS = "variable weights"
    """`with_variable_weights` and `weight_stages`."""


class CaptionModel(ABC):
    """A loaded captioner, ready to caption a few images at a time.

    Methods of an ability that it lacks raise ValueError.
    """

    beam_widths: ClassVar[range] = range(1, 6)
    steadiness: ClassVar[Steadiness] = Steadiness()
    """Thresholds of its features and log-probabilities for the captions of streams."""
    max_batch: ClassVar[int] = 4
    """Frames that are captioned together, and images that an explanation or analysis encodes
    between two yields; with more, the first of them, or the next caption, would wait too long."""

    resizing: Resizing
    """How images are resized to the encoder's square input, and frames before they are sent."""
    grid_size: tuple[int, int]
    """Rows and columns of the cells, which lie evenly over the image."""
    encoder_name: str
    max_length: int
    """Maximum number of tokens in a caption, the end token included."""
    default_beam_width: int
    abilities: frozenset[Ability]
    live_methods: tuple[str, ...]
    """Names of the explanation methods that `token_maps` computes, at little cost for all tokens
    of a caption at once, at least one; then that of `head`, if there is one. For others see
    `inference.explanations.methods`."""
    consensus: bool = False
    """Whether it chooses among the captions of the beam search by `models.consensus`."""
    hardened: HardenedModels | None = None
    """The model hardened against attacks and its control, if there are any."""

    def __init__(self, folder: Path, card: ModelCard, wording: Wording) -> None:
        """Keep what describes the captioner; the subclass sets the other attributes.

        Args:
            folder: Folder of its files.
            card: Its card; what the user measured takes its place.
            wording: Its tokens as words.

        Raises:
            models.catalogue.CaptionerError: If a measurement is damaged.
        """
        self.folder, self.wording = folder, wording
        self.card = measured_card(folder, card)
        self.head = load_head(folder)
        """The network that predicts maps, if there is one; see `inference.explanations.learn`."""
        if self.head:
            self.live_methods = (*self.live_methods, LEARNED)
        self.grid_cache = GridCache()
        """Encodings of the latest frames of streams, which explanations reuse."""
        self._builder = CaptionBuilder(wording, self.card.confidence)

    @property
    def image_size(self) -> int:
        """S: side of the encoder's square input, in pixels."""
        return self.resizing.side

    @property
    def vocabulary_size(self) -> int:
        """Number of tokens."""
        return len(self.wording.pieces)

    @property
    def calibrated(self) -> bool:
        """Whether its confidence was calibrated."""
        return self.card.confidence is not None

    @property
    def live_method(self) -> str:
        """Name of the method of the maps that come with each caption: the most faithful one."""
        measured = (name for name in self.card.verified if name in self.live_methods)
        return next(measured, self.live_methods[0])

    @property
    def has_tags(self) -> bool:
        """Whether captions can have tags."""
        return Ability.TAGS in self.abilities

    @property
    def analyses(self) -> tuple[str, ...]:
        """Kinds of analyses that are possible for it: adversarial, and by concepts."""
        attacks = self.can(Ability.ATTACK_GRADIENTS, Ability.PIXEL_GRADIENTS)
        return ("adversarial",) * attacks + ("ace",) * self.can(Ability.GRADIENTS)

    def can(self, *abilities: Ability) -> bool:
        """Return whether it has all of these abilities."""
        return self.abilities.issuperset(abilities)

    # Captions

    @abstractmethod
    def encode_pixels(self, pixels: NDArray[np.uint8 | np.float32]) -> Array:
        """Encode images that have the encoder's input size.

        Args:
            pixels: RGB in 0..255, [B, S, S, 3].

        Returns:
            The encodings, float32 [B, ...].
        """

    @abstractmethod
    def search(self, encodings: Array, beam_width: int | None = None) -> BeamCaption:
        """Find the best caption of each image by beam search.

        Args:
            encodings: The encodings, [B, ...].
            beam_width: One of `beam_widths`; the captioner's own when None.

        Returns:
            The captions as arrays, B first; `hidden` is [B, T, 0] where the decoder has no such
            state. Tokens are padded with `PAD`.
        """

    @abstractmethod
    def rescore(self, encodings: Array, captions: Sequence[Sequence[int]]) -> BeamCaption:
        """Compute the log-probabilities of given captions by teacher forcing.

        Args:
            encodings: The encodings, [B, ...].
            captions: The tokens of one caption for each, in the form that the search returns,
                without padding.

        Returns:
            The captions as arrays, as `search` returns them, of any T that holds the longest.
        """

    def preprocess(self, image: Image) -> Image:
        """Resize an image, uint8 [H, W, 3], to the encoder's input size, uint8 [S, S, 3]."""
        return self.resizing.apply(image)

    def encode(self, images: Sequence[Image]) -> Array:
        """Encode images, RGB, uint8 [H, W, 3] of any size: [B, ...]."""
        return self.encode_pixels(np.stack([self.preprocess(image) for image in images]))

    def cells(self, encodings: Array) -> Array:
        """Return the cells of encodings [B, ...] or of gradients at them: [B, rows, columns, C]."""
        return encodings

    def with_cells(self, encodings: Array, cells: Array) -> Array:
        """Return encodings [B, ...] with these cells, [B, rows, columns, C], and the rest kept."""
        return cells

    def text(self, tokens: Sequence[int] | Tokens) -> str:
        """Return tokens as a sentence."""
        return self.wording.text(tokens)

    def caption(self, image: Image, beam_width: int | None = None) -> Caption:
        """Caption one image; see `captions`."""
        return self.captions([image], beam_width)[0]

    def captions(self, images: Sequence[Image], beam_width: int | None = None) -> list[Caption]:
        """Caption images together.

        Args:
            images: At least one, RGB, uint8 [H, W, 3] of any size.
            beam_width: One of `beam_widths`; the captioner's own when None. The first caption of
                another width takes some seconds longer, while its graph is compiled.

        Returns:
            The caption of each image, the same as if it were captioned alone.

        Raises:
            ValueError: If an image or the beam width is invalid.
        """
        for image in images:
            self.check(image, beam_width)
        begun = time.perf_counter()
        encodings = self.encode(images)
        encoded = time.perf_counter()
        found = self.search(encodings, beam_width)
        timing = Timing((encoded - begun) * 1e3, (time.perf_counter() - encoded) * 1e3)
        rows = (BeamCaption(*(part[row] for part in found)) for row in range(len(images)))
        return [
            self.build_caption(row, encoding, timing)
            for row, encoding in zip(rows, encodings, strict=True)
        ]

    def check(self, image: Image, beam_width: int | None = None) -> None:
        """Validate an image and a beam width.

        Raises:
            ValueError: If the image is not RGB, uint8 [H, W, 3], or there is no such beam width.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise ValueError(f"an image is uint8 [H, W, 3], not {image.dtype} {image.shape}")
        if beam_width is not None and beam_width not in self.beam_widths:
            raise ValueError(
                f"beam width {beam_width} is not in {self.beam_widths[0]}..{self.beam_widths[-1]}"
            )

    def check_tokens(self, tokens: Sequence[int]) -> None:
        """Validate the tokens of a caption.

        Raises:
            ValueError: If these are not the tokens of words, with the end token after them unless
                the caption was cut off.
        """
        if not 1 <= len(tokens) <= self.max_length:
            raise ValueError(f"a caption has 1 to {self.max_length} tokens, not {len(tokens)}")
        words = tokens[:-1] if tokens[-1] == self.wording.end else tokens
        known = range(self.vocabulary_size)
        if not all(token in known and token not in self.wording.special for token in words):
            raise ValueError(
                f"a caption has the tokens of words, below {self.vocabulary_size}, and "
                f"{self.wording.end} at its end"
            )

    def build_caption(
        self,
        found: BeamCaption,
        encoding: Array,
        timing: Timing,
        previous: Caption | None = None,
        *,
        fallback: bool = True,
    ) -> Caption:
        """Build the caption of one image, with its tags; without `fallback`, it is always whole."""
        (cells,) = self.cells(encoding[None])
        tags = self.tags(encoding)
        return self._builder.build(found, cells, tags, timing, previous, fallback=fallback)

    # Explanations and analyses

    @abstractmethod
    def token_scores(self, encodings: Array, tokens: Tokens, candidates: Tokens) -> TokenScores:
        """Score a caption's tokens given encodings, by teacher forcing in one batch.

        Args:
            encodings: The encodings, [B, ...].
            tokens: [T]: the caption, or its beginning; no padding.
            candidates: [T, K]: tokens whose logits in each place are needed.
        """

    @abstractmethod
    def token_maps(
        self, method: str, encodings: Array, captions: Sequence[BeamCaption], terms: LogitTerms
    ) -> Array:
        """Attribute the logit of each token of captions to the cells.

        Args:
            method: One of `live_methods`.
            encodings: The encodings, [B, ...].
            captions: Of each, from the search or rescored: each array [at least T, ...].
            terms: [B, T] each; the map of a place without a term is 0.

        Returns:
            Signed maps, float32 [B, T, rows, columns]. Maps of several tokens are added.
        """

    def live_maps(self, encodings: Array, captions: Sequence[BeamCaption]) -> list[CaptionMaps]:
        """Explain every word of the captions of different images by `live_method`.

        Args:
            encodings: The encodings, [B, ...].
            captions: Of each, from the search or rescored: each array [T, ...].

        Returns:
            The maps of each caption, with a map for each of its words. A map is the sum of its
            tokens' maps, rectified; the caption's is that of all tokens.
        """
        return live_maps(self, encodings, captions)

    def attention(self, encodings: Array, captions: Sequence[BeamCaption]) -> Array:
        """Return the attention at each token of captions, as in `token_maps`.

        Returns:
            float32 [B, T, rows, columns]: each token's weights of the cells, averaged over heads.
        """
        self._lacks(Ability.ATTENTION)

    def gradient(self, encoding: Array, tokens: Tokens, terms: LogitTerms) -> Array:
        """Differentiate the terms' sum z at one encoding [...], through all steps: [...]."""
        self._lacks(Ability.GRADIENTS)

    def attack_gradient(self, encoding: Array, objective: AttackObjective) -> Array:
        """Differentiate an attack's objective at one encoding [...]: [...]."""
        self._lacks(Ability.ATTACK_GRADIENTS)

    def pixel_gradient(self, pixels: Array, encoding_gradient: Array) -> Array:
        """Backpropagate a gradient at an encoding, [...], to the pixels.

        Args:
            pixels: Of the image, float32 [S, S, 3] in 0..255.
            encoding_gradient: dz/dA, [...].

        Returns:
            dz/dx, float32 [S, S, 3], per grey level.
        """
        self._lacks(Ability.PIXEL_GRADIENTS)

    def tags(self, encoding: Array) -> tuple[Tag, ...]:
        """Return the tags of an image, the most probable first; none without the ability."""
        return ()

    def tag_logits(self, encodings: Array) -> Array:
        """Return the log-odds of each of `tag_kinds()` for encodings [B, ...]: [B, kinds]."""
        self._lacks(Ability.TAGS)

    def tag_gradient(self, encoding: Array, index: int) -> Array:
        """Differentiate the log-odds of the tag at `index` at one encoding [...]: [...]."""
        self._lacks(Ability.TAGS)

    def visualise(self, directions: Array, seed: int) -> list[Image]:
        """Draw an image of each direction [K, C] in the space of the cells; uint8 [h, w, 3]."""
        self._lacks(Ability.CONCEPT_BANK)

    def with_variable_weights(self) -> "CaptionModel":
        """Load the captioner again, in such a way that it follows changes of its weights."""
        self._lacks(Ability.VARIABLE_WEIGHTS)

    def weight_stages(self) -> Iterator[tuple[str, list[Any]]]:
        """Yield its parts from the top down, each with a unique name and its Keras variables."""
        self._lacks(Ability.VARIABLE_WEIGHTS)

    @abstractmethod
    def warm_up(self) -> None:
        """Compile ahead of their first use what explanations and analyses need."""

    def _lacks(self, ability: Ability) -> NoReturn:
        raise ValueError(f"this captioner has no {ability}")
