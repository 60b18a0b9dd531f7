"""Vocabulary, tokenization, content words and word-by-word differences of English captions."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PAD, START, END, UNKNOWN = range(4)
"""Token ids of the special tokens."""

SPECIAL_WORDS = ("<pad>", "<start>", "<end>", "<unk>")
"""The special tokens as they stand in a vocabulary file, in the order of their ids."""

_WORD = re.compile(r"'s\b|[a-z0-9]+")


def tokenize(caption: str) -> list[str]:
    """Split a caption into lower-case words; a possessive 's is a word of its own."""
    return _WORD.findall(caption.lower())


def sentence(words: Iterable[str]) -> str:
    """Join words into a sentence: capitalised, possessives joined, no full stop."""
    text = " ".join(words).replace(" 's", "'s")
    return text[:1].upper() + text[1:]


class Vocabulary:
    """A bijection between words and token ids; the first four ids are the special tokens."""

    def __init__(self, words: Sequence[str]) -> None:
        """Create a vocabulary from words in the order of their ids.

        Raises:
            ValueError: If the special tokens do not come first, or a word occurs twice.
        """
        if tuple(words[: len(SPECIAL_WORDS)]) != SPECIAL_WORDS:
            first = ", ".join(SPECIAL_WORDS)
            raise ValueError(f"the vocabulary must begin with {first}, one a line")
        self.words = tuple(words)
        self._ids = {word: index for index, word in enumerate(words)}
        if len(self._ids) != len(self.words):
            duplicate = next(word for word, count in Counter(words).items() if count > 1)
            raise ValueError(f"the vocabulary contains the word {duplicate!r} twice")

    @classmethod
    def count(cls, captions: Iterable[str], minimum: int) -> "Vocabulary":
        """Build a vocabulary of the words that occur at least `minimum` times, frequent first."""
        counts = Counter(word for caption in captions for word in tokenize(caption))
        kept = sorted(
            (word for word, count in counts.items() if count >= minimum),
            key=lambda word: (-counts[word], word),
        )
        return cls([*SPECIAL_WORDS, *kept])

    @classmethod
    def read(cls, path: Path) -> "Vocabulary":
        """Read a UTF-8 text file with one word a line.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it is not a vocabulary.
        """
        return cls(path.read_text(encoding="utf-8").splitlines())

    def write(self, path: Path) -> None:
        """Write one word a line, in the order of the ids."""
        path.write_text("".join(f"{word}\n" for word in self.words), encoding="utf-8")

    def encode(self, caption: str, length: int) -> list[int]:
        """Encode a caption as `length` ids: its words, the end token, then padding.

        A caption of `length` words or more is truncated and has no end token.
        """
        ids = [self._ids.get(word, UNKNOWN) for word in tokenize(caption)] + [END]
        return (ids + [PAD] * length)[:length]

    def decode(self, ids: Iterable[int]) -> list[str]:
        """Decode ids into words, up to the first end or padding token."""
        words = []
        for token in ids:
            if token in (END, PAD):
                break
            words.append(self.words[token])
        return words

    def __len__(self) -> int:
        return len(self.words)


_FUNCTION_WORDS = frozenset(
    tokenize(
        """
    a an the this that these those some any other another
    of in on at to by for from with into onto over under above below near beside behind
    between through across along around against up down out off upon next front top side
    and or but while as who which what where there here
    is are was were be been being am has have having had do does doing
    it its he him his she her hers they them their very 's
    """
    )
)
"""Grammatical words, and words of place that captions use just as freely."""

IRREGULAR_FORMS = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "people": "person",
    "feet": "foot",
    "teeth": "tooth",
    "mice": "mouse",
    "wolves": "wolf",
    "leaves": "leaf",
    "ran": "run",
    "sat": "sit",
    "stood": "stand",
    "held": "hold",
    "worn": "wear",
}
"""Words of captions whose stem is that of another word."""

_DANGLING = frozenset(
    tokenize(
        "a an the and or of in on at to with from by for into onto over under near behind through "
        "while as that which who is are was be being his her its their another some two"
    )
)


_TWICE = frozenset(tokenize("side face hand back nose arm cheek head shoulder door one bed"))
"""Content words that stand twice in a phrase: "hand in hand", "face to face"."""


def content_words(caption: str) -> frozenset[str]:
    """Return the stems of a caption's content words.

    Two captions count as equivalent when their content words are the same: "A dog runs through the
    grass" and "The dog is running in grass", but not "Two dogs run in the snow". The page uses the
    same rule to decide what to announce (`web/static/js/captions/content_words.js`).
    """
    return frozenset(stem(word) for word in tokenize(caption) if word not in _FUNCTION_WORDS)


def base_form(word: str) -> str:
    """Return the base form of a word with irregular inflection, as "men"; others as they are."""
    return IRREGULAR_FORMS.get(word, word)


def stem(word: str) -> str:
    """Return a crude stem: "rides", "riding" and "ride" become one; so do "carries", "carrying"."""
    root = _without_verb_ending(_without_plural(base_form(word)))
    return re.sub(r"(?<=..)y$", "i", re.sub(r"(?<=..)e$", "", root))


def is_distinct(word: str) -> bool:
    """Return whether a caption should not have this word twice close together.

    True of content words, unless they stand in phrases such as "side by side".
    """
    return word not in _TWICE and word not in SPECIAL_WORDS and bool(content_words(word))


def is_dangling(word: str) -> bool:
    """Return whether a phrase that ends with this word is incomplete.

    True of articles, prepositions, conjunctions and the like.
    """
    return word in _DANGLING


@dataclass(frozen=True, slots=True)
class LanguageStatistics:
    """Diversity, length and completeness of a set of captions.

    Training for a metric such as CIDEr changes these, so they are reported beside it.
    """

    distinct: float
    """Number of different captions as a share of all captions, in 0..1."""
    words: float
    """Mean number of words in a caption."""
    bad_endings: float
    """Share of the captions that break off ("in a", "on the"), in 0..1."""


def language_statistics(captions: Collection[str]) -> LanguageStatistics:
    """Measure the language of at least one caption."""
    words = [tokenize(caption) for caption in captions]
    return LanguageStatistics(
        distinct=len(set(captions)) / len(captions),
        words=sum(map(len, words)) / len(captions),
        bad_endings=sum(not each or is_dangling(each[-1]) for each in words) / len(captions),
    )


def _without_plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if re.search(r"[^suai]s$", word) and len(word) > 3 else word


def _without_verb_ending(word: str) -> str:
    root = re.sub(r"(ing|ed)$", "", word)
    if root == word or len(root) < 3 or not re.search(r"[aeiouy]", root):
        return word
    return re.sub(r"([bdgmnprt])\1$", r"\1", root)


EditKind = Literal["kept", "substituted", "inserted", "deleted"]


@dataclass(frozen=True, slots=True)
class WordEdit:
    """One position in the alignment of two captions."""

    kind: EditKind
    before: str
    """The word of the original caption; empty if inserted."""
    after: str
    """The word of the other caption; empty if deleted."""


def diff_words(before: Sequence[str], after: Sequence[str]) -> tuple[WordEdit, ...]:
    """Align two captions with the fewest word substitutions, insertions and deletions.

    The Levenshtein distance over words, by dynamic programming (Wagner and Fischer, "The
    String-to-String Correction Problem", JACM 1974). Among alignments with equally few edits, the
    one that keeps words as early as possible is returned.

    Args:
        before: Words of the original caption.
        after: Words of the other caption.

    Returns:
        The edits in word order. Their `before` words, insertions left out, are the original
        caption; their `after` words, deletions left out, are the other one.
    """
    rows, columns = len(before), len(after)
    # costs[i][j]: the fewest edits from before[i:] to after[j:].
    costs = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            options = _alignments(costs, before, after, i, j)
            costs[i][j] = min((cost for cost, _ in options), default=0)
    edits: list[WordEdit] = []
    i = j = 0
    while i < rows or j < columns:
        _, edit = min(_alignments(costs, before, after, i, j), key=lambda option: option[0])
        edits.append(edit)
        i, j = i + (edit.kind != "inserted"), j + (edit.kind != "deleted")
    return tuple(edits)


def edit_count(edits: Sequence[WordEdit]) -> int:
    """Count the edits that change a word."""
    return sum(edit.kind != "kept" for edit in edits)


def kept_places(edits: Sequence[WordEdit]) -> frozenset[int]:
    """Return the indices of the original caption's words that were kept."""
    original = [edit for edit in edits if edit.kind != "inserted"]
    return frozenset(place for place, edit in enumerate(original) if edit.kind == "kept")


def _alignments(
    costs: list[list[int]], before: Sequence[str], after: Sequence[str], i: int, j: int
) -> list[tuple[int, WordEdit]]:
    """List the possible edits at before[i:] and after[j:], each with its total cost to the end."""
    options: list[tuple[int, WordEdit]] = []
    if i < len(before) and j < len(after):
        same = before[i] == after[j]
        kind: EditKind = "kept" if same else "substituted"
        options.append((costs[i + 1][j + 1] + (not same), WordEdit(kind, before[i], after[j])))
    if i < len(before):
        options.append((costs[i + 1][j] + 1, WordEdit("deleted", before[i], "")))
    if j < len(after):
        options.append((costs[i][j + 1] + 1, WordEdit("inserted", "", after[j])))
    return options
