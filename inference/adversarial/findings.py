"""Parameters and findings of the adversarial analysis of one image, and the diff of two captions.

All epsilons are norms of perturbations, in grey levels of 0..255.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.attacks import Norm

_MAX_WORD_LENGTH = 40


class AdversarialParams(BaseModel):
    """Parameters; the default analysis takes 20 s on two cores beside a live stream."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    norm: Norm = "linf"
    """Norm of the attack shown next to the clean image, and of the curve."""
    epsilon_most: float = Field(16.0, ge=0.5, le=64)
    """Largest epsilon to search in L-inf, in grey levels of 0..255. In L2, the limit is this times
    the square root of the number of values: the length of an L-inf attack that changes all of
    them."""
    steps: int = Field(6, ge=1, le=20)
    """PGD steps for each epsilon that is tried."""
    draws: int = Field(4, ge=1, le=16)
    """Random-noise samples for each epsilon of the curve."""
    segments: int = Field(15, ge=2, le=60)
    """Approximate number of image segments, to find which can flip a word on their own."""
    epsilon_segment: float = Field(1.0, ge=0.1, le=64)
    """L-inf epsilon inside the attacked segment."""
    say: str = Field("", max_length=_MAX_WORD_LENGTH)
    """Word to force into the caption; empty for none."""
    lose: str = Field("", max_length=_MAX_WORD_LENGTH)
    """Word to force out of the caption; empty for the object word with the highest confidence."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Seed of the noise."""


EditKind = Literal["kept", "substituted", "inserted", "deleted"]


@dataclass(frozen=True, slots=True)
class WordEdit:
    """One position in the alignment of two captions."""

    kind: EditKind
    before: str
    """The word of the original caption; empty if inserted."""
    after: str
    """The word of the other caption; empty if deleted."""


@dataclass(frozen=True, slots=True)
class SmallestPerturbation:
    """The smallest perturbation found that reaches a goal: an upper bound on the true minimum."""

    attack: str
    """`fgsm` or `pgd`."""
    norm: Norm
    epsilon: float | None
    """None if no perturbation up to `largest` reaches the goal."""
    largest: float
    """Upper limit of the search."""
    caption: str = ""
    """The caption of the perturbed image; empty if nothing was found. For an attack on a word, the
    word that becomes most likely in its place."""


@dataclass(frozen=True, slots=True)
class WordFindings:
    """How robust one word of the caption is."""

    text: str
    index: int
    is_object: bool
    """Whether it is a content word that names an object, see `word_kind`."""
    smallest: tuple[SmallestPerturbation, ...]
    """By attack and norm: the smallest perturbation that makes another word more likely in this
    place, given the same preceding words. Epsilon is 0 if another word is already more likely on
    the clean image: beam search finds the caption as a whole, so not each of its words is the most
    likely one in its place."""
    becomes: str
    """The word that becomes most likely; empty if none was found, or if the caption ends there."""
    log_prob: float
    """Calibrated log-probability on the clean image, teacher-forced, in nats."""
    log_prob_attacked: float
    """The same on the attacked image."""
    log_prob_noise: float
    """The mean over images with random noise of the attack's norm."""
    log_prob_hardened: float | None
    """On the attacked image, by the hardened decoder; None if there is none."""
    fragile: bool
    """Whether the plain decoder loses the word under the attack and the hardened one keeps it,
    which means that the word depends on fragile features. False without a hardened decoder."""
    regions: tuple[int, ...]
    """Labels of the segments that flip the word on their own, attacked within `Regions.epsilon`."""


@dataclass(frozen=True, slots=True)
class AttackedCaption:
    """The caption of the attacked image next to that of the clean image.

    The attack exceeds the smallest perturbation that changes the caption by as much as it takes to
    change content words, or goes up to the largest epsilon that is searched.
    """

    attack: str
    norm: Norm
    epsilon: float
    """Norm of the perturbation."""
    clean: str
    """f(x): caption of the clean image."""
    attacked: str
    """f(x+d): caption of the attacked image."""
    diff: tuple[WordEdit, ...]
    """From f(x) to f(x+d)."""
    hardened_clean: str | None
    """g(x), by the hardened decoder; None if there is none."""
    hardened: str | None
    """g(x+d)."""
    hardened_diff: tuple[WordEdit, ...]
    """From f(x) to g(x+d); empty without a hardened decoder."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How much of the caption changes as the perturbation grows."""

    norm: Norm
    attack: str
    epsilons: tuple[float, ...]
    changed: tuple[float, ...]
    """Under the attack: word edits divided by the words of the original caption, at most 1."""
    log_prob: tuple[float, ...]
    """Under the attack: mean log-probability of the original words, teacher-forced, in nats."""
    noise_changed: tuple[float, ...]
    """Under random noise of the same norm: the mean over `draws` samples."""
    noise_changed_most: tuple[float, ...]
    """The maximum over the samples."""
    noise_log_prob: tuple[float, ...]
    draws: int


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Segments of the image that were attacked one at a time."""

    epsilon: float
    """L-inf, inside the attacked segment."""
    labels: NDArray[np.int32]
    """[S, S]: the segment of each pixel of the resized image, from 0."""
    count: int


@dataclass(frozen=True, slots=True)
class KeywordAttack:
    """An attack that forces a word into the caption, or out of it (Chen et al., ACL 2018)."""

    aim: Literal["say", "lose"]
    word: str
    smallest: SmallestPerturbation


@dataclass(frozen=True, slots=True, eq=False)
class AdversarialFindings:
    """Everything that an adversarial analysis found."""

    smallest: tuple[SmallestPerturbation, ...]
    """Perturbations that change the caption, by attack and norm; the first is the main result."""
    words: tuple[WordFindings, ...]
    attacked: AttackedCaption
    curve: Curve
    regions: Regions
    keywords: tuple[KeywordAttack, ...]
    took_s: float
    """Computing time of the engine."""
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    """RGB [S, S, 3] by name: `clean`, `attacked`, `perturbation` (magnified around grey by
    `magnified`), `map-before` and `map-after` (the live method's map of the whole caption, painted
    over the image) and `regions` (the image with the segments outlined)."""
    magnified: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Return the findings as JSON values, without `pictures` and `regions.labels`."""
        return {
            "smallest": [asdict(each) for each in self.smallest],
            "words": [asdict(each) for each in self.words],
            "attacked": asdict(self.attacked),
            "curve": asdict(self.curve),
            "regions": {"epsilon": self.regions.epsilon, "count": self.regions.count},
            "keywords": [asdict(each) for each in self.keywords],
            "magnified": self.magnified,
            "took_s": round(self.took_s, 3),
        }


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
            options = _options(costs, before, after, i, j)
            costs[i][j] = min((cost for cost, _ in options), default=0)
    edits: list[WordEdit] = []
    i = j = 0
    while i < rows or j < columns:
        _, edit = min(_options(costs, before, after, i, j), key=lambda option: option[0])
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


def _options(
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
