"""TODO."""

from models.language.content_words import Language, describe, is_open
from models.language.vocabulary import (
    END,
    PAD,
    SPECIAL_WORDS,
    START,
    UNKNOWN,
    Vocabulary,
    sentence,
    tokenize,
)

__all__ = [
    "END",
    "PAD",
    "SPECIAL_WORDS",
    "START",
    "UNKNOWN",
    "Language",
    "Vocabulary",
    "describe",
    "is_open",
    "sentence",
    "tokenize",
]
