"""Calibrated confidence of captions and words, calibrated object tags, and blank images.

`fit_confidence` and `fit_tags`, which `python -m models.calibrate` runs, are not re-exported: they
import tqdm and the dataset readers.
"""

from models.calibration.blank import is_blank
from models.calibration.confidence import Assessment, ConfidenceCalibration
from models.calibration.likely_part import likely_part
from models.calibration.logistic import logistic, rank_correlation
from models.calibration.tags import TagCalibration, Tagger
from models.calibration.word_confidence import (
    RUNNERS_UP,
    CaptionEvidence,
    WordCalibration,
    WordEvidence,
    runners_up,
)

__all__ = [
    "RUNNERS_UP",
    "Assessment",
    "CaptionEvidence",
    "ConfidenceCalibration",
    "TagCalibration",
    "Tagger",
    "WordCalibration",
    "WordEvidence",
    "is_blank",
    "likely_part",
    "logistic",
    "rank_correlation",
    "runners_up",
]
