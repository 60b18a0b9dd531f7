"""In what concepts the captioner thinks: directions in the grid that a word leans on."""

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
