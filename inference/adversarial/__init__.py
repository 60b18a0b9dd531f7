"""Measure how easily a caption changes when its image is perturbed imperceptibly.

Only the parameters and findings are exported here: `analysis` loads TensorFlow.
"""

from inference.adversarial.findings import (
    AdversarialFindings,
    AdversarialParams,
    AttackedCaption,
    Curve,
    KeywordAttack,
    Regions,
    SmallestPerturbation,
    WordEdit,
    WordFindings,
    diff_words,
    kept_places,
)

__all__ = [
    "AdversarialFindings",
    "AdversarialParams",
    "AttackedCaption",
    "Curve",
    "KeywordAttack",
    "Regions",
    "SmallestPerturbation",
    "WordEdit",
    "WordFindings",
    "diff_words",
    "kept_places",
]
