"""WordPiece: captions as pieces of words (Wu et al., 2016), in the vocabulary format of BERT.

A piece that continues a word starts with "##". Text is split as BERT splits it (Devlin et al.,
2019): at white space and punctuation, in lower case without accents if the vocabulary is uncased.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from models.blip.config import DOWNLOAD_AGAIN, TextConfig

_CONTINUES = "##"
_UNKNOWN = "[UNK]"
_SPECIAL = ("[PAD]", _UNKNOWN, "[CLS]", "[SEP]", "[MASK]")
_LONGEST_WORD = 100
"""Longer words are unknown, as in BERT."""
_UNLISTED = 128
"""How many token ids may lack a piece: BLIP adds [DEC] and [ENC] to BERT's vocabulary, and
embeddings are padded to a multiple of up to 128."""


class WordPieces:
    """A bijection between pieces and token ids, and the splitting of text into pieces."""

    def __init__(self, pieces: Sequence[str], config: TextConfig, *, lower_case: bool) -> None:
        """Create a vocabulary from pieces in the order of their ids.

        Raises:
            ValueError: If it is not the vocabulary of a model of this configuration.
        """
        _check(pieces, config)
        self.pieces = tuple(pieces)
        self._lower_case = lower_case
        self._ids = {piece: index for index, piece in enumerate(pieces)}

    @classmethod
    def read(cls, path: Path, config: TextConfig, *, lower_case: bool) -> "WordPieces":
        """Read a `vocab.txt`: UTF-8 with one piece a line.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it is not the vocabulary of a model of this configuration.
        """
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as problem:
            raise ValueError(
                f"{path.name} is damaged or not text ({problem}); {DOWNLOAD_AGAIN}"
            ) from problem
        # Not splitlines: the pieces may be characters that Unicode counts as line breaks.
        pieces = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
        try:
            return cls(pieces, config, lower_case=lower_case)
        except ValueError as problem:
            raise ValueError(f"{path.name} {problem}; {DOWNLOAD_AGAIN}") from problem

    def __len__(self) -> int:
        return len(self.pieces)

    def text_of(self, token: int) -> str:
        """Return the piece of a token id, with its "##"; "" for special tokens."""
        piece = self.pieces[token] if token < len(self.pieces) else ""
        return "" if piece in _SPECIAL else piece

    def encode(self, text: str) -> tuple[int, ...]:
        """Return the token ids of a text, without start and end token.

        A word that the vocabulary cannot spell is one unknown token. Special tokens are not
        recognized in a text.
        """
        return tuple(token for word in self._split(text) for token in self._encode_word(word))

    def _encode_word(self, word: str) -> list[int]:
        """Spell a word by the longest piece that fits, again and again."""
        tokens: list[int] = []
        start = 0
        while start < len(word) <= _LONGEST_WORD:
            prefix = _CONTINUES if start else ""
            for stop in range(len(word), start, -1):
                if (token := self._ids.get(prefix + word[start:stop])) is not None:
                    break
            else:
                return [self._ids[_UNKNOWN]]
            tokens.append(token)
            start = stop
        return tokens or [self._ids[_UNKNOWN]]

    def _split(self, text: str) -> Iterator[str]:
        """Split a text into words and punctuation marks."""
        if self._lower_case:
            decomposed = unicodedata.normalize("NFD", text.lower())
            text = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
        spaced = (f" {c} " if _stands_alone(c) else c for c in text if _is_kept(c))
        return iter("".join(spaced).split())


def _check(pieces: Sequence[str], config: TextConfig) -> None:
    size = config.vocab_size
    if not size - _UNLISTED < len(pieces) <= size:
        raise ValueError(
            f"has {len(pieces)} word pieces, but config.json states a vocabulary of {size}"
        )
    for piece, token in (("[PAD]", config.pad_token_id), ("[SEP]", config.sep_token_id)):
        found = pieces[token] if token < len(pieces) else None
        if found != piece:
            raise ValueError(f"has {found!r} as token {token}, but config.json requires {piece!r}")
    if _UNKNOWN not in pieces:
        raise ValueError(f"has no {_UNKNOWN}")


def _is_kept(character: str) -> bool:
    """Return whether BERT keeps a character: control characters are dropped."""
    return character in "\t\n\r" or (
        character not in "\0\ufffd" and not unicodedata.category(character).startswith("C")
    )


def _stands_alone(character: str) -> bool:
    """Return whether a character is a word of its own: punctuation, ASCII symbol or ideograph."""
    code = ord(character)
    ascii_mark = 33 <= code <= 126 and not character.isalnum()
    return ascii_mark or unicodedata.category(character).startswith("P") or _is_ideograph(code)


def _is_ideograph(code: int) -> bool:
    return any(
        first <= code <= last
        for first, last in (
            (0x4E00, 0x9FFF),
            (0x3400, 0x4DBF),
            (0x20000, 0x2A6DF),
            (0x2A700, 0x2B81F),
            (0x2B820, 0x2CEAF),
            (0xF900, 0xFAFF),
            (0x2F800, 0x2FA1F),
        )
    )
