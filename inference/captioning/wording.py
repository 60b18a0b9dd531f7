"""The words of a caption, each of one or more of the captioner's tokens. Needs no TensorFlow."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.language import PAD, sentence

_CONTINUATION = "##"
"""Marks a token that continues a word (WordPiece: Wu et al., "Google's Neural Machine Translation
System", 2016)."""

_JOINS_BOTH, _JOINS_NEXT = ("-",), ("-", "'")
"""Tokens that are joined to the word before them, and tokens that the next one is joined to."""


class WordSpan(NamedTuple):
    """A word of a caption and its tokens."""

    text: str
    """Lower case."""
    start: int
    """Index of its first token in the caption."""
    stop: int
    """Index after its last token."""


class Wording:
    """A captioner's tokens as words.

    A token that begins with "##" continues the word before it. Hyphens join the words around them,
    and an apostrophe begins a word, such as "'s".
    """

    def __init__(
        self,
        pieces: Sequence[str],
        end: int,
        special: Collection[int],
        split: Callable[[str], Sequence[int]] | None = None,
    ) -> None:
        """Describe the tokens of a captioner.

        Args:
            pieces: The text of each token, in the order of their ids; empty for a token that is in
                no word. The id `PAD` is padding.
            end: The token that ends a caption.
            special: Tokens that are no words, with the end token and the padding.
            split: Splits a word into tokens; by default each word is a token.
        """
        self.pieces, self.end, self.special = tuple(pieces), end, frozenset(special)
        self._split = split
        self._ids = {piece: token for token, piece in reversed(list(enumerate(self.pieces)))}

    def strip(self, tokens: Iterable[int]) -> tuple[int, ...]:
        """Return the tokens of the words: those before the end token or the padding."""
        kept: list[int] = []
        for token in tokens:
            if token in (self.end, PAD):
                break
            kept.append(int(token))
        return tuple(kept)

    def words(self, tokens: Iterable[int]) -> tuple[WordSpan, ...]:
        """Return the words of a caption, in order; tokens that are no words are left out."""
        spans: list[WordSpan] = []
        before = ""
        for place, token in enumerate(self.strip(tokens)):
            if token in self.special:
                continue
            piece = self.pieces[token]
            if not piece:
                continue
            continues = piece.startswith(_CONTINUATION)
            if spans and (continues or piece in _JOINS_BOTH or before in _JOINS_NEXT):
                last = spans[-1]
                text = last.text + piece.removeprefix(_CONTINUATION)
                spans[-1] = WordSpan(text, last.start, place + 1)
            else:
                spans.append(WordSpan(piece.removeprefix(_CONTINUATION), place, place + 1))
            before = piece
        return tuple(spans)

    def word_sums(
        self, tokens: Iterable[int], values: NDArray[np.floating]
    ) -> NDArray[np.floating]:
        """Sum values of a caption's tokens over each word's tokens.

        Args:
            tokens: Of the caption.
            values: [..., at least as many as tokens]: log-probabilities, for one.

        Returns:
            [..., words].
        """
        sums = [values[..., word.start : word.stop].sum(axis=-1) for word in self.words(tokens)]
        return np.stack(sums, axis=-1) if sums else values[..., :0]

    def texts(self, tokens: Iterable[int]) -> list[str]:
        """Return the words of a caption as text."""
        return [word.text for word in self.words(tokens)]

    def text(self, tokens: Iterable[int]) -> str:
        """Return a caption as a sentence."""
        return join_words(self.texts(tokens))

    def tokens_of(self, word: str | None) -> tuple[int, ...]:
        """Return the tokens of a word, at least one.

        Raises:
            ValueError: If the captioner cannot say it.
        """
        tokens: Sequence[int] = ()
        if word and self._split:
            tokens = self._split(word)
        elif word in self._ids:
            tokens = (self._ids[word],)
        if not tokens or not self.special.isdisjoint(tokens):
            raise ValueError(f"the word {word!r} is not in the captioner's vocabulary")
        return tuple(tokens)

    def first_text(self, token: int) -> str | None:
        """Return the text of a token that a word can begin with; None of another one."""
        piece = self.pieces[token]
        starts = token not in self.special and not piece.startswith(_CONTINUATION)
        return piece if starts else None


def join_words(words: Iterable[str]) -> str:
    """Join words into a sentence, without spaces before punctuation marks."""
    return re.sub(r" (?=[,.;:!?](?: |$))", "", sentence(words))
