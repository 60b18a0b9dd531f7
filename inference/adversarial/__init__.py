"""Measure how easily a caption changes when its image is perturbed imperceptibly.

Only the parameters and findings are exported here: `analysis` loads TensorFlow.
"""

from inference.adversarial.findings import (
    AdversarialFindings,
    AdversarialParams,
    AttackedCaption,
    ComparedCaption,
    Comparison,
    Curve,
    HarmlessChange,
    KeywordAttack,
    Regions,
    Rounding,
    SmallestPerturbation,
    WordFindings,
)

__all__ = [
    "AdversarialFindings",
    "AdversarialParams",
    "AttackedCaption",
    "ComparedCaption",
    "Comparison",
    "Curve",
    "HarmlessChange",
    "KeywordAttack",
    "Regions",
    "Rounding",
    "SmallestPerturbation",
    "WordFindings",
]
