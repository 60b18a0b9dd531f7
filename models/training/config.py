"""How a captioner is trained: read from a TOML file, so that a run can be done again."""

import json
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt, TypeAdapter, ValidationError

from models.captioner import BeamConfig


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Every choice of a training run."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    name: str
    data: str = ""
    """What the captioner's card says it was trained on."""
    licence: str = "not stated"
    """On what terms the trained captioner may be used."""
    start: str = ""
    """Run whose captioner is trained on, its folder beside this run's; a new one when ""."""
    objective: Literal["cross-entropy", "self-critical"] = "cross-entropy"
    human_share: float = 0.0
    """Self-critical: weight of the human captions' cross-entropy beside the reward."""
    human_captions: PositiveInt = 2
    """Self-critical: how many human captions of each picture, if they have a weight."""
    encoder: str = "efficientnet-lite2"
    image_size: PositiveInt | None = None
    """Side of the square that pictures are squeezed into, in pixels; the encoder's own if None."""
    pretrained: bool | str = True
    """Whether the encoder begins with its published weights or with random ones; or a file of
    weights, see `models.encoders.pretrained`."""
    glove: str = ""
    """File of word vectors that the embedding begins with, see `models.training.glove`."""
    classes: NonNegativeInt = 0
    """Keep the encoder's own classifier, of so many classes, for tags; 0 for none."""
    cut: str = ""
    """Layer of the encoder whose output is cached; what comes after can be trained."""
    encoder_rate: float = 0.0
    """Share of the learning rate at which the encoder is trained after the cut; 0 freezes it."""
    keep_classes: float = 0.0
    """See `models.training.learner.Learner`."""
    width: PositiveInt = 512
    embedding: PositiveInt = 256
    heads: PositiveInt = 8
    embedding_dropout: float = 0.3
    grid_dropout: float = 0.2
    output_dropout: float = 0.5
    train_splits: Annotated[tuple[str, ...], Field(min_length=1)] = ("train",)
    dev_split: str = "dev"
    minimum_count: PositiveInt = 4
    """Words seen less often than this in the training captions are unknown."""
    length: PositiveInt = 20
    """Words of a training caption at most, its end included."""
    views: PositiveInt = 2
    """Of `models.preprocessing`, in how many each picture is shown; a mirrored one only if none of
    its captions names left or right."""
    texts: NonNegativeInt = 0
    """Rows of `captions` captions without a picture that an epoch takes from the data's texts."""
    batch: PositiveInt = 64
    """Images in a batch; each comes with `captions` captions."""
    captions: PositiveInt = 5
    epochs: PositiveInt = 15
    learning_rate: float = 1e-3
    """Reached after one epoch, then falling to zero along a cosine."""
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    """Of the decoder's matrix products."""
    average: float = 0.995
    """Momentum, per batch, of the moving average of the weights that is evaluated and kept."""
    seed: int = 0
    beam: BeamConfig = field(default_factory=BeamConfig)

    @classmethod
    def read(cls, path: Path) -> "TrainingConfig":
        """Read a TOML file whose keys are the fields above, `[beam]` a table.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If the file is no TOML, or a key or a value is wrong.
        """
        try:
            values = {"name": path.stem, **tomllib.loads(path.read_text(encoding="utf-8"))}
            # By way of JSON, which has the same types: a strict reading takes lists for tuples
            # and tables for dataclasses from there alone.
            return TypeAdapter(cls).validate_json(json.dumps(values, default=str))
        except ValidationError as problem:
            wrong = problem.errors()[0]
            place = ".".join(str(key) for key in wrong["loc"])
            raise ValueError(f"{path}: {place}: {wrong['msg']}") from problem
        except ValueError as problem:
            raise ValueError(f"{path}: {problem}") from problem
