"""How a captioner is trained: read from a TOML file, so that a run can be done again."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from models.beam_search import BeamConfig


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Every choice of a training run."""

    name: str
    encoder: str = "efficientnet-lite2"
    image_size: int = 260
    width: int = 512
    embedding: int = 256
    heads: int = 8
    embedding_dropout: float = 0.3
    grid_dropout: float = 0.2
    output_dropout: float = 0.5
    train_splits: tuple[str, ...] = ("train", "extra")
    dev_split: str = "dev"
    minimum_count: int = 4
    """Words seen less often than this in the training captions are unknown."""
    length: int = 20
    """Words of a training caption at most, its end included."""
    mirrored: bool = True
    """Show each picture flipped half of the time, unless its captions name left or right."""
    batch: int = 64
    """Images in a batch; each comes with `captions` captions."""
    captions: int = 5
    epochs: int = 15
    learning_rate: float = 1e-3
    """Reached after one epoch, then falling to zero along a cosine."""
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    average: float = 0.995
    """Momentum, per batch, of the moving average of the weights that is evaluated and kept."""
    seed: int = 0
    beam: BeamConfig = BeamConfig()

    @classmethod
    def read(cls, path: Path) -> "TrainingConfig":
        """Read a TOML file whose keys are the fields above, `[beam]` a table.

        Raises:
            ValueError: If the file is no TOML, or a key or a type is wrong.
        """
        try:
            values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        except tomllib.TOMLDecodeError as problem:
            raise ValueError(f"{path}: {problem}") from problem
        known = {field.name for field in fields(cls)}
        if unknown := sorted(values.keys() - known):
            raise ValueError(f"{path}: unknown setting {unknown[0]!r}; there are {sorted(known)}")
        try:
            values["beam"] = BeamConfig(**values.get("beam", {}))
            values["train_splits"] = tuple(values.get("train_splits", ("train", "extra")))
            return cls(**{"name": path.stem, **values})
        except TypeError as problem:
            raise ValueError(f"{path}: {problem}") from problem
