"""Configuration of a training run, read from a TOML file."""

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError

from models.captioner import BeamConfig


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Configuration of a training run."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: str
    data: str = ""
    """Description of the training data for the model card."""
    licence: str = "not stated"
    """Licence of the trained captioner, for the model card."""
    start: str = ""
    """Name of a run, beside this run's folder, whose captioner to start from; "" for a new one."""
    objective: Literal["cross-entropy", "self-critical"] = "cross-entropy"
    human_share: float = 0.0
    """Self-critical: weight of the cross-entropy of reference captions beside the reward."""
    human_captions: PositiveInt = 2
    """Self-critical: reference captions of each image, if they have a weight."""
    encoder: str = "efficientnet-lite2"
    image_size: PositiveInt | None = None
    """Side of the square that images are resized to, in pixels; the encoder's own if None."""
    pretrained: bool | str = True
    """Whether the encoder starts with its published weights or with random ones; or the path of a
    weights file, see `models.encoders.pretrained`."""
    glove: str = ""
    """File of word vectors that initialise the embedding, see `models.training.glove`."""
    classes: NonNegativeInt = 0
    """Classes of the encoder's own classifier, which is kept for tags; 0 for no classifier."""
    cut: str = ""
    """Layer of the encoder whose output is cached. The layers after it can be trained."""
    encoder_rate: float = 0.0
    """Learning rate of the encoder after the cut, as a share of `learning_rate`; 0 freezes it."""
    keep_classes: float = 0.0
    """See `models.training.model.TrainingModel`."""
    width: PositiveInt = 512
    embedding: PositiveInt = 256
    heads: PositiveInt = 8
    embedding_dropout: float = 0.3
    grid_dropout: float = 0.2
    output_dropout: float = 0.5
    train_splits: Annotated[tuple[str, ...], Field(min_length=1)] = ("train",)
    dev_split: str = "dev"
    minimum_captions: PositiveInt = 1
    """Training images with fewer captions are left out. A reward from one caption says little."""
    minimum_count: PositiveInt = 4
    """Words that occur less often than this in the training captions are unknown."""
    length: PositiveInt = 20
    """Maximum number of words in a training caption, the end token included."""
    views: PositiveInt = 2
    """Augmented views of each image, see `models.preprocessing`. Mirrored views are used only if
    none of the image's captions mentions left or right."""
    texts: NonNegativeInt = 0
    """Rows of `captions` captions without an image that an epoch takes from the dataset's texts."""
    batch: PositiveInt = 64
    """Images in a batch; each comes with `captions` captions."""
    captions: PositiveInt = 5
    epochs: PositiveInt = 15
    learning_rate: float = 1e-3
    """Reached after one epoch of warm-up, then decays to zero along a cosine."""
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Precision of the decoder's matrix products."""
    average: float = 0.995
    """Momentum, per batch, of the moving average of the weights, which is evaluated and saved."""
    seed: int = 0
    beam: BeamConfig = field(default_factory=BeamConfig)

    @classmethod
    def read(cls, path: Path) -> "TrainingConfig":
        """Read a TOML file whose keys are the fields of this class; `[beam]` is a table.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If the file is not TOML, or a key or a value is wrong.
        """
        try:
            values = {"name": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))}
            # Via JSON, because strict validation accepts lists for tuples and tables for
            # dataclasses only there.
            return TypeAdapter(cls).validate_json(json.dumps(values, default=str))
        except ValidationError as problem:
            first = problem.errors()[0]
            place = ".".join(str(key) for key in first["loc"])
            raise ValueError(f"{path}: {place}: {first['msg']}") from problem
        except ValueError as problem:
            raise ValueError(f"{path}: {problem}") from problem
