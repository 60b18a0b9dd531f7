"""A captioner: an encoder, a decoder and the vocabulary between them."""

from dataclasses import dataclass
from typing import Any

import keras

from models.captioner.decoder import Decoder, DecoderConfig
from models.encoders import check_image_size, make_encoder
from models.language import Vocabulary


@dataclass(frozen=True, slots=True)
class CaptionerConfig:
    """What fixes a captioner's shape; with the weights and the vocabulary, all of it."""

    encoder: str
    """A key of `models.encoders.registry.IMAGE_SIZES`."""
    image_size: int
    """Side of the square that a picture is squeezed into, in pixels."""
    decoder: DecoderConfig
    classes: int = 0
    """Classes of the encoder's own classifier, from whose answers tags are made; 0 for none."""

    def __post_init__(self) -> None:
        check_image_size(self.encoder, self.image_size)
        if self.classes < 0:
            raise ValueError(f"classes is {self.classes} but must be 0 or more")


class Captioner:
    """The parts of a captioner, with untrained weights when made."""

    encoder: keras.Model
    """Pixels 0..255 [B, S, S, 3] to a grid [B, rows, columns, channels]."""
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
                f"the decoder was made for {config.decoder.vocabulary_size} words, "
                f"the vocabulary has {len(vocabulary)}: they do not belong together"
            )
        self.config = config
        self.vocabulary = vocabulary
        self.encoder = make_encoder(config.encoder, config.image_size)
        self.decoder = Decoder(config.decoder, name="decoder")
        channels = self.encoder.output_shape[-1]
        self.decoder.build_for(channels)
        self.classifier = None
        if config.classes:
            self.classifier = keras.layers.Dense(config.classes, name="classifier")
            self.classifier.build((None, channels))

    @property
    def parts(self) -> tuple[Any, ...]:
        """The parts that have weights: Keras models and layers, named apart."""
        return tuple(filter(None, (self.encoder, self.decoder, self.classifier)))

    def get_weights(self) -> list[Any]:
        """Return all parts' weights as arrays."""
        return [array for part in self.parts for array in part.get_weights()]

    def set_weights(self, weights: list[Any]) -> None:
        """Take over what another captioner's `get_weights` returned.

        Raises:
            ValueError: If that captioner has another shape.
        """
        counts = [len(part.weights) for part in self.parts]
        if sum(counts) != len(weights):
            raise ValueError(f"{len(weights)} arrays were given, {sum(counts)} are needed")
        for part, count in zip(self.parts, counts, strict=True):
            part.set_weights(weights[:count])
            weights = weights[count:]
