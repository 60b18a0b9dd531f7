"""Training of captioners: by cross-entropy, then for CIDEr."""

from models.training.config import TrainingConfig
from models.training.run import Run

__all__ = [
    "Run",
    "TrainingConfig",
]
