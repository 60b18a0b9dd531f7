"""A published BLIP captioner: see `models.blip`."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioners.blip.encoder import BlipEncoder
from inference.captioners.blip.graphs import Graphs
from inference.captioners.blip.int8_decoder import Int8Decoder
from inference.captioning import Precision, Steadiness
from inference.captioning.model import Ability, Array, CaptionModel, Tokens
from inference.captioning.objective import AttackObjective, LogitTerms, TokenScores
from inference.captioning.wording import Wording
from inference.startup import encoder_threads
from models.blip import Blip, Memory, SearchConfig, load_blip
from models.captioner import BeamCaption, BeamConfig
from models.catalogue import read_licence, reference_of
from models.checkpoint import CheckpointError, ModelCard
from models.language import PAD

CROSS_ATTENTION_LAYER = 7
"""Index of the layer whose cross-attention is explained by default; of a decoder with fewer, the
last one. It is the layer of LAVIS's example of text localization with BLIP, see `token_maps`."""


class BlipCaptionModel(CaptionModel):
    """A vision transformer in LiteRT, and a text decoder that reads its tokens.

    Encodings are the image's tokens, [1 + N, C]: the class token, then the patches, row by row,
    which are the cells.

    The thresholds of `steadiness` were not measured on published weights: 0 for still frames makes
    it search at every frame, and those of a scene cut (0.25) and of the gains are the defaults,
    which were set for the shipped captioner.
    """

    max_batch = 1
    # A frame is never taken for still by its features: their scale differs between checkpoints.
    steadiness = Steadiness(still=0.0)
    live_methods: tuple[str, ...] = ("crossattention", "gradcam", "hirescam")
    abilities = frozenset(
        {
            Ability.GRADIENTS,
            Ability.PIXEL_GRADIENTS,
            Ability.ATTACK_GRADIENTS,
            Ability.ATTENTION,
        }
    )

    def __init__(
        self, folder: Path, precision: Precision = "float32", layer: int | None = None
    ) -> None:
        """Load the captioner and compile what every caption needs.

        Args:
            folder: Folder of its files, as published.
            precision: Numeric precision of the vision transformer and of the search. Explanations
                are computed in float32.
            layer: Index of the decoder's layer whose cross-attention is explained;
                `CROSS_ATTENTION_LAYER` when None.

        Raises:
            models.checkpoint.CheckpointError: If the folder has no usable captioner, or its decoder
                has no such layer.
        """
        self._blip = load_blip(folder)
        config, decoder = self._blip.config, self._blip.decoder
        search = SearchConfig()
        longest = min(search.max_length, config.text_config.max_position_embeddings)
        search = replace(search, max_length=longest)
        super().__init__(folder, _card(folder, search), _wording(self._blip))
        if self.card.confidence:
            search = replace(search, temperature=self.card.confidence.temperature)
        self.resizing = self._blip.image.resizing
        self.grid_size = (config.vision_config.side,) * 2
        self.encoder_name = _encoder_name(self._blip)
        self.max_length, self.default_beam_width = search.max_length, search.width
        shape = (1 + config.vision_config.side**2, config.vision_config.hidden_size)
        explained = _check_layer(folder, layer, config.text_config.num_hidden_layers)
        self._encoder = BlipEncoder(self._blip, precision, encoder_threads())
        int8 = None
        if precision == "int8":
            length = len(search.prompt) + search.max_length
            int8 = Int8Decoder(self._blip, max(self.beam_widths), length, encoder_threads())
        self._graphs = Graphs(decoder, shape, explained, search, int8)
        self._last: tuple[Array, Memory] | None = None
        self._compile()

    def encode_pixels(self, pixels: NDArray[np.uint8 | np.float32]) -> Array:  # noqa: D102
        return self._encoder(pixels)

    def cells(self, encodings: Array) -> Array:
        """Return the patches."""
        return encodings[:, 1:].reshape(len(encodings), *self.grid_size, -1)

    def with_cells(self, encodings: Array, cells: Array) -> Array:
        """Replace the patches and keep the class token."""
        patches = cells.reshape(len(cells), -1, cells.shape[-1])
        return np.concatenate([encodings[:, :1], patches], axis=1)

    def search(self, encodings: Array, beam_width: int | None = None) -> BeamCaption:  # noqa: D102
        width = self.default_beam_width if beam_width is None else beam_width
        return self._graphs.search(self._memory(encodings), width)

    def rescore(  # noqa: D102
        self, encodings: Array, captions: Sequence[Sequence[int]]
    ) -> BeamCaption:
        return self._graphs.rescore(self._memory(encodings), _rows(captions))

    def token_scores(  # noqa: D102
        self, encodings: Array, tokens: Tokens, candidates: Tokens
    ) -> TokenScores:
        return self._graphs.token_scores(self._memory(encodings), tokens, candidates)

    def token_maps(
        self, method: str, encodings: Array, captions: Sequence[BeamCaption], terms: LogitTerms
    ) -> Array:
        """Attribute logits in one backward pass; see `inference.captioners.blip.token_maps`."""
        tokens = _tokens(captions)[:, : terms.plus.shape[1]]
        maps = self._graphs.token_maps(method, self._memory(encodings), encodings, tokens, terms)
        return maps.reshape(*maps.shape[:2], *self.grid_size)

    def attention(self, encodings: Array, captions: Sequence[BeamCaption]) -> Array:  # noqa: D102
        weights = self._graphs.attention_weights(self._memory(encodings), _tokens(captions))
        return weights.reshape(*weights.shape[:2], *self.grid_size)

    def gradient(self, encoding: Array, tokens: Tokens, terms: LogitTerms) -> Array:  # noqa: D102
        return self._graphs.caption_gradient(encoding, tokens, terms)

    def attack_gradient(self, encoding: Array, objective: AttackObjective) -> Array:  # noqa: D102
        return self._graphs.attack_gradient(encoding, objective)

    def pixel_gradient(self, pixels: Array, encoding_gradient: Array) -> Array:  # noqa: D102
        return self._encoder.pixel_gradient(pixels, encoding_gradient)

    def warm_up(self) -> None:
        """Compile the gradients at the encoding; those at the pixels would need much memory."""
        self._graphs.warm_up()

    def _compile(self) -> None:
        blank = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        encodings = self.encode([blank])
        self.search(encodings)
        rescored = self.rescore(encodings, [(self.wording.end,)])
        self.live_maps(encodings, [BeamCaption(*(part[0] for part in rescored))])

    def _memory(self, encodings: Array) -> Memory:
        """Return the cross-attention's keys and values.

        Those of the last encodings are kept: a caption's search, rescoring and maps follow each
        other, and projecting the image's tokens takes longer than any of the maps.
        """
        if self._last is None or not np.array_equal(self._last[0], encodings):
            self._last = encodings, self._graphs.memory(encodings)
        return self._last[1]


def _card(folder: Path, config: SearchConfig) -> ModelCard:
    """Return a card of what is known: published files state neither data nor scores."""
    return ModelCard(
        name=reference_of(folder).value.rstrip("/").rpartition("/")[2],
        data="not stated",
        licence=read_licence(folder),
        figures={},
        beam=BeamConfig(width=config.width, max_length=config.max_length),
    )


def _wording(blip: Blip) -> Wording:
    pieces, config = blip.word_pieces, blip.config.text_config

    def split(word: str) -> tuple[int, ...]:
        """Return no tokens for a word that the vocabulary cannot spell."""
        tokens = pieces.encode(word)
        return tokens if all(texts[token] for token in tokens) else ()

    texts = [pieces.text_of(token) for token in range(config.vocab_size)]
    return Wording(texts, config.sep_token_id, (PAD, config.sep_token_id), split)


def _encoder_name(blip: Blip) -> str:
    vision = blip.config.vision_config
    return f"vision transformer ({vision.num_hidden_layers} layers of {vision.hidden_size})"


def _check_layer(folder: Path, layer: int | None, layers: int) -> int:
    if layer is None:
        return min(CROSS_ATTENTION_LAYER, layers - 1)
    if not 0 <= layer < layers:
        raise CheckpointError(
            f"the decoder in {folder} has the cross-attention layers 0 to {layers - 1}, but "
            f"{layer} is to be explained; choose one of them"
        )
    return layer


def _tokens(captions: Sequence[BeamCaption]) -> Tokens:
    return np.stack([caption.tokens for caption in captions]).astype(np.int32)


def _rows(captions: Sequence[Sequence[int]]) -> Tokens:
    """Return captions as rows, padded to the longest."""
    rows = np.full((len(captions), max(map(len, captions))), PAD, np.int32)
    for row, caption in zip(rows, captions, strict=True):
        row[: len(caption)] = caption
    return rows
