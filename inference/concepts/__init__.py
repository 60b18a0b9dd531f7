"""Concepts that a caption's words depend on: directions in the encoder's feature grid.

Only the parameters, the findings and `has_bank` are exported here: `analysis` loads TensorFlow.
"""

from inference.concepts.bank import has_bank
from inference.concepts.findings import (
    VERDICT_TEXTS,
    ConceptFindings,
    ConceptInFrame,
    ConceptParams,
    Factors,
    WordConcepts,
)

__all__ = [
    "VERDICT_TEXTS",
    "ConceptFindings",
    "ConceptInFrame",
    "ConceptParams",
    "Factors",
    "WordConcepts",
    "has_bank",
]
