"""Concepts that a caption's words depend on: directions in the encoder's feature grid.

Only the parameters, the findings and `has_bank` are exported here: `analysis` loads TensorFlow.
"""

from inference.concepts.bank import has_bank
from inference.concepts.findings import (
    ConceptFindings,
    ConceptInFrame,
    ConceptParams,
    Factors,
    Verdict,
    WordConcepts,
)

__all__ = [
    "ConceptFindings",
    "ConceptInFrame",
    "ConceptParams",
    "Factors",
    "Verdict",
    "WordConcepts",
    "has_bank",
]
