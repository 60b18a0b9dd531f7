"""A captioner: an encoder, a decoder and the vocabulary that they share."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from models.captioner.decoder import Decoder, DecoderConfig
from models.encoders import check_image_size, make_encoder
from models.language import Vocabulary, is_distinct


@dataclass(frozen=True, slots=True)
class CaptionerConfig:
    """The architecture of a captioner. Weights and vocabulary are stored separately."""

    encoder: str
    """A key of `models.encoders.registry.IMAGE_SIZES`."""
    image_size: int
    """Side of the square that an image is resized to, in pixels."""
    decoder: DecoderConfig
    classes: int = 0
    """Classes of the encoder's own classifier, from which tags are made; 0 for no classifier."""

    def __post_init__(self) -> None:
        check_image_size(self.encoder, self.image_size)
        if self.classes < 0:
            raise ValueError(f"classes is {self.classes} but must be 0 or more")


class Captioner:
    """The parts of a captioner. A new one has untrained weights."""

    encoder: keras.Model
    """Pixels in 0..255 [B, S, S, 3] to a grid [B, rows, columns, channels]."""
    decoder: Decoder
    classifier: keras.layers.Dense | None
    """The encoder's own classifier: the grid's mean over its cells [B, channels] to logits."""

    def __init__(self, config: CaptionerConfig, vocabulary: Vocabulary) -> None:
        """Build the parts.

        Raises:
            ValueError: If the vocabulary's size is not the decoder's.
        """
        if len(vocabulary) != config.decoder.vocabulary_size:
            raise ValueError(
                f"the decoder has {config.decoder.vocabulary_size} words but the vocabulary has "
                f"{len(vocabulary)}; use the vocabulary that the decoder was trained with"
            )
        self.config = config
        self.vocabulary = vocabulary
        self.encoder = make_encoder(config.encoder, config.image_size)
        self.decoder = Decoder(config.decoder, name="decoder")
        self.decoder.distinct_words = np.array([is_distinct(word) for word in vocabulary.words])
        channels = self.encoder.output_shape[-1]
        self.decoder.build_for(channels)
        self.classifier = None
        if config.classes:
            self.classifier = keras.layers.Dense(config.classes, name="classifier")
            self.classifier.build((None, channels))

    @property
    def parts(self) -> tuple[Any, ...]:
        """The parts that have weights: Keras models and layers with distinct names."""
        return tuple(filter(None, (self.encoder, self.decoder, self.classifier)))

    def get_weights(self) -> list[Any]:
        """Return the weights of all parts as arrays."""
        return [array for part in self.parts for array in part.get_weights()]

    def set_weights(self, weights: list[Any]) -> None:
        """Set the weights to what `get_weights` of another captioner returned.

        Raises:
            ValueError: If that captioner has another architecture.
        """
        counts = [len(part.weights) for part in self.parts]
        if sum(counts) != len(weights):
            raise ValueError(
                f"{sum(counts)} weight arrays are needed but {len(weights)} were given"
            )
        for part, count in zip(self.parts, counts, strict=True):
            part.set_weights(weights[:count])
            weights = weights[count:]
