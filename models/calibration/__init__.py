"""TODO."""

from models.calibration.confidence import Doubt, evidence, logistic, rank_correlation
from models.calibration.tags import TagCalibration, Tagger, kinds

__all__ = [
    "Doubt",
    "TagCalibration",
    "Tagger",
    "evidence",
    "kinds",
    "logistic",
    "rank_correlation",
]
