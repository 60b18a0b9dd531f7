"""Calibrated confidence of captions and words, and calibrated object tags.

`fit_confidence` and `fit_tags`, which `python -m models.calibrate` runs, are not re-exported: they
import tqdm and the dataset readers.
"""

from models.calibration.confidence import (
    ConfidenceCalibration,
    confidence_features,
    logistic,
    rank_correlation,
)
from models.calibration.tags import TagCalibration, Tagger

__all__ = [
    "ConfidenceCalibration",
    "TagCalibration",
    "Tagger",
    "confidence_features",
    "logistic",
    "rank_correlation",
]
