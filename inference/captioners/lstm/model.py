"""A captioner of Sightline's own architecture: see `models.captioner`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.captioners.lstm.decoding import CompiledDecoder
from inference.captioners.lstm.graphs import Graphs
from inference.captioners.lstm.hardened import Encode, SharedDecoder, StudentModel, compile_encoders
from inference.captioners.lstm.visualisation import ConceptVisualiser
from inference.captioning import Precision, Tag, read_int8
from inference.captioning.hardened import HardenedModels
from inference.captioning.lite_encoder import lite_encoder
from inference.captioning.model import Ability, Array, CaptionModel, Image, Tokens
from inference.captioning.objective import AttackObjective, LogitTerms, TokenScores
from inference.captioning.wording import Wording
from inference.startup import encoder_threads
from models.calibration import Tagger
from models.captioner import BeamCaption, Decoder
from models.checkpoint import load
from models.consensus import load_consensus
from models.hardening import load_hardened
from models.language import END, SPECIAL_WORDS
from models.lite import LiteNetwork
from models.preprocessing import Resizing

_TAG_ABILITIES = frozenset({Ability.TAGS})
_ABILITIES = frozenset(Ability) - _TAG_ABILITIES


class LstmCaptionModel(CaptionModel):
    """A LiteRT encoder, and a decoder that reads its grid by attention at each step of an LSTM.

    Encodings are grids, [rows, columns, C], and tokens are words.
    """

    live_methods: tuple[str, ...] = ("readcam", "gradcam", "hirescam")

    graphs: Graphs
    """The graphs that explanations use."""

    def __init__(
        self, folder: Path, precision: Precision = "float32", *, consensus: bool = True
    ) -> None:
        """Load the captioner and compile it for its own beam width.

        Args:
            folder: Folder of its checkpoint.
            precision: Numeric precision of the encoder.
            consensus: Whether to choose among the captions of the beam search by agreement with
                the captions of similar training images, if the folder has an index of these.

        Raises:
            models.checkpoint.CheckpointError: If the folder has no usable captioner, or files that
                belong to another one.
            inference.captioning.QuantizedError: If it has no encoder of that precision.
        """
        self.captioner, card = load(folder)
        words = self.captioner.vocabulary.words
        super().__init__(folder, card, Wording(words, END, range(len(SPECIAL_WORDS))))
        self.resizing = Resizing(self.captioner.config.image_size)
        self.encoder_name = self.captioner.config.encoder
        self.grid_size = self.captioner.encoder.output_shape[1:3]
        self.max_length, self.default_beam_width = card.beam.max_length, card.beam.width
        self._encoder = self._load_encoder(folder, precision)
        self._consensus = load_consensus(folder, self.captioner) if consensus else None
        self.consensus = self._consensus is not None
        self._decoder = self._compiled(self.captioner.decoder)
        self.hardened = self._load_hardened(folder)
        classifier, calibration = self.captioner.classifier, self.card.tags
        self._tagger = Tagger(classifier, calibration) if classifier and calibration else None
        self.abilities = _ABILITIES | (_TAG_ABILITIES if self._tagger else frozenset())
        self.graphs = Graphs(self.captioner, self._tagger)
        self._visualiser: ConceptVisualiser | None = None
        self._compile()

    def encode_pixels(self, pixels: NDArray[np.uint8 | np.float32]) -> Array:  # noqa: D102
        return self._encoder(pixels)

    def search(self, encodings: Array, beam_width: int | None = None) -> BeamCaption:  # noqa: D102
        return self._decoder.search(encodings, beam_width)

    def rescore(  # noqa: D102
        self, encodings: Array, captions: Sequence[Sequence[int]]
    ) -> BeamCaption:
        return self._decoder.rescore(encodings, captions)

    def token_scores(  # noqa: D102
        self, encodings: Array, tokens: Tokens, candidates: Tokens
    ) -> TokenScores:
        return self._decoder.token_scores(encodings, tokens, candidates)

    def token_maps(
        self, method: str, encodings: Array, captions: Sequence[BeamCaption], terms: LogitTerms
    ) -> Array:
        """Attribute logits in closed form; see `inference.captioners.lstm.direct_cam`."""
        hidden = np.stack([caption.hidden for caption in captions])[:, : terms.plus.shape[1]]
        return self.graphs.direct_cam(method, encodings, hidden, terms)

    def attention(  # noqa: D102
        self, encodings: Array, captions: Sequence[BeamCaption]
    ) -> Array:
        hidden = np.stack([caption.hidden for caption in captions])
        return self.graphs.attention_weights(encodings, hidden)

    def gradient(self, encoding: Array, tokens: Tokens, terms: LogitTerms) -> Array:  # noqa: D102
        return self.graphs.caption_gradient(encoding, tokens, terms)

    def attack_gradient(self, encoding: Array, objective: AttackObjective) -> Array:  # noqa: D102
        return self.graphs.attack_gradient(encoding, objective)

    def pixel_gradient(self, pixels: Array, encoding_gradient: Array) -> Array:  # noqa: D102
        return self.graphs.pixel_gradient(pixels, encoding_gradient)

    def tags(self, encoding: Array) -> tuple[Tag, ...]:
        """Return the tags of an image; see `models.calibration.tags`."""
        if self._tagger is None:
            return ()
        found = self._tagger.choose(self.tag_logits(encoding[None])[0])
        return tuple(Tag(name, round(prob, 4)) for name, prob in found)

    def tag_logits(self, encodings: Array) -> Array:  # noqa: D102
        return self.graphs.tag_logits(encodings) if self._tagger else super().tag_logits(encodings)

    def tag_gradient(self, encoding: Array, index: int) -> Array:  # noqa: D102
        if self._tagger is None:
            return super().tag_gradient(encoding, index)
        return self.graphs.tag_gradient(encoding, index)

    def visualise(self, directions: Array, seed: int) -> list[Image]:  # noqa: D102
        if self._visualiser is None:
            self._visualiser = ConceptVisualiser(self.captioner)
        return self._visualiser.visualise(directions, seed)

    def with_variable_weights(self) -> CaptionModel:  # noqa: D102
        # Imported here: it is a subclass.
        from inference.captioners.lstm.variable_weights import VariableLstmCaptionModel

        return VariableLstmCaptionModel(self.folder)

    def warm_up(self) -> None:  # noqa: D102
        self.graphs.warm_up()
        grids = np.zeros((1, *self.captioner.encoder.output_shape[1:]), np.float32)
        words = np.array([END], np.int32)
        self.token_scores(grids, words, words[:, None])
        if self.hardened:
            blank = np.zeros((2, self.image_size, self.image_size, 3), np.uint8)
            for each in (self.hardened.hardened, self.hardened.control):
                grids = each.encode_pixels(blank)
                each.search(grids)
                each.rescore(grids[:1], [(END,)])

    def _compile(self) -> None:
        """Compile what every caption needs."""
        blank = np.zeros((self.image_size, self.image_size, 3), np.uint8)
        for number in (1, 2):
            self.captions([blank] * number)
        grid = self.encode([blank])
        rescored = self.rescore(grid, [(END,)])
        self.live_maps(grid, [BeamCaption(*(part[0] for part in rescored))])

    def _load_encoder(self, folder: Path, precision: Precision) -> LiteNetwork:
        if precision == "int8":
            model, _ = read_int8(folder)
            return LiteNetwork(model, encoder_threads())
        return lite_encoder(self.captioner.encoder, encoder_threads())

    def _load_hardened(self, folder: Path) -> HardenedModels | None:
        found = load_hardened(folder, self.captioner)
        if found is None:
            return None
        students = found.hardened, found.control
        decoder = SharedDecoder(self._compiled(found.hardened.decoder), found.hardened)
        encoders: list[Encode] = [self.encode_pixels] * 2
        if found.card.encoder_blocks:
            encoders = compile_encoders(students)
        hardened, control = (
            StudentModel(student, decoder, encode)
            for student, encode in zip(students, encoders, strict=True)
        )
        return HardenedModels(hardened, control, found.card)

    def _compiled(self, decoder: Decoder) -> CompiledDecoder:
        shape = self.captioner.encoder.output_shape[1:]
        return CompiledDecoder(decoder, shape, self.card, self._consensus)
