"""How easily a caption is changed by a change of the picture that people would not notice."""

from inference.adversarial.findings import (
    AdversarialFindings,
    AdversarialParams,
    Attacked,
    Curve,
    Edit,
    Keyword,
    Regions,
    Smallest,
    WordFindings,
    diff_words,
    kept_places,
)

__all__ = [
    "AdversarialFindings",
    "AdversarialParams",
    "Attacked",
    "Curve",
    "Edit",
    "Keyword",
    "Regions",
    "Smallest",
    "WordFindings",
    "diff_words",
    "kept_places",
]
