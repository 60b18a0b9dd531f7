"""Words that mean the same in captions, or imply each other. Needs no Keras."""

from models.lexicon.synonyms import (
    is_right,
    main_stem,
    right_stems,
    similar_words,
    stated_stems,
)

__all__ = ["is_right", "main_stem", "right_stems", "similar_words", "stated_stems"]
