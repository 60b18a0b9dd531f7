"""A captioner: an encoder, a decoder and the vocabulary between them."""

from dataclasses import asdict, dataclass
from typing import Any

import keras

from models.decoder import Decoder, DecoderConfig
from models.efficientnet_lite import VARIANTS, efficientnet_lite
from models.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class CaptionerConfig:
    """What fixes a captioner's shape; with the weights and the vocabulary, all of it."""

    encoder: str
    """A key of `models.efficientnet_lite.VARIANTS`."""
    image_size: int
    """Side of the square that a picture is squeezed into, in pixels."""
    decoder: DecoderConfig

    def to_json(self) -> dict[str, Any]:
        """Return the configuration as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "CaptionerConfig":
        """Read what `to_json` returned.

        Raises:
            ValueError: If a field is missing, unknown, or names no encoder.
        """
        try:
            config = cls(**{**values, "decoder": DecoderConfig(**values["decoder"])})
        except (KeyError, TypeError) as problem:
            raise ValueError(f"the captioner's configuration is malformed: {problem}") from problem
        if config.encoder not in VARIANTS:
            raise ValueError(
                f"no encoder is called {config.encoder!r}; there are {', '.join(VARIANTS)}"
            )
        return config


class Captioner:
    """The parts of a captioner, with untrained weights when made."""

    encoder: keras.Model
    """Pixels 0..255 [B, S, S, 3] to a grid [B, rows, columns, channels]."""
    decoder: Decoder

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
        self.encoder = efficientnet_lite(config.encoder, config.image_size)
        self.decoder = Decoder(config.decoder, name="decoder")
        self.decoder.build_for(self.encoder.output_shape[-1])
