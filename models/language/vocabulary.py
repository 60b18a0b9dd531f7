"""The words that the decoder knows, in a plain-text file of one word a line."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

PAD, START, END, UNKNOWN = range(4)


SPECIAL_WORDS = ("<pad>", "<start>", "<end>", "<unk>")


_WORD = re.compile(r"'s\b|[a-z0-9]+")


def tokenize(caption: str) -> list[str]:
    """Split a caption into lower-cased words; a possessive 's is a word of its own."""
    return _WORD.findall(caption.lower())


def sentence(words: Iterable[str]) -> str:
    """Write words as a sentence for people: capitalised, possessives joined, no full stop."""
    text = " ".join(words).replace(" 's", "'s")
    return text[:1].upper() + text[1:]


class Vocabulary:
    """A bijection between words and token ids; the first four ids are the special words."""

    def __init__(self, words: Sequence[str]) -> None:
        """Take the words in the order of their ids.

        Raises:
            ValueError: If the special words do not come first, or a word stands twice.
        """
        if tuple(words[: len(SPECIAL_WORDS)]) != SPECIAL_WORDS:
            first = ", ".join(SPECIAL_WORDS)
            raise ValueError(f"a vocabulary must begin with {first}, a line each")
        self.words = tuple(words)
        self._ids = {word: index for index, word in enumerate(words)}
        if len(self._ids) != len(self.words):
            twice = next(word for word, count in Counter(words).items() if count > 1)
            raise ValueError(f"the vocabulary holds the word {twice!r} twice")

    @classmethod
    def count(cls, captions: Iterable[str], minimum: int) -> "Vocabulary":
        """Make a vocabulary of the words that occur `minimum` times or more, frequent first."""
        counts = Counter(word for caption in captions for word in tokenize(caption))
        kept = sorted(
            (word for word, count in counts.items() if count >= minimum),
            key=lambda word: (-counts[word], word),
        )
        return cls([*SPECIAL_WORDS, *kept])

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read a vocabulary file.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it is no vocabulary.
        """
        return cls(path.read_text(encoding="utf-8").splitlines())

    def write(self, path: Path) -> None:
        """Write one word a line, in the order of the ids."""
        path.write_text("".join(f"{word}\n" for word in self.words), encoding="utf-8")

    def encode(self, caption: str, length: int) -> list[int]:
        """Turn a caption into `length` ids: its words, the end, and padding.

        A caption of `length` words or more is cut and has no end.
        """
        ids = [self._ids.get(word, UNKNOWN) for word in tokenize(caption)] + [END]
        return (ids + [PAD] * length)[:length]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Turn ids into words, up to the end or the padding."""
        words = []
        for token in ids:
            if token in (END, PAD):
                break
            words.append(self.words[token])
        return words

    def __len__(self) -> int:
        return len(self.words)
