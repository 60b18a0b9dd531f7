"""What can be chosen of an adversarial analysis.

What an adversarial analysis of one picture found.

All epsilons are norms of perturbations, in grey levels of 0..255.

What became of each word of a caption: the fewest edits between two of them.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from models.attacks import Norm

_LONGEST_WORD = 40

EditKind = Literal["kept", "substituted", "inserted", "deleted"]


class AdversarialParams(BaseModel):
    """The choices; an analysis with the defaults takes 20 s on two cores beside a live stream."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    norm: Norm = "linf"
    """Of the attack that is shown beside the clean picture, and of the curve."""
    epsilon_most: float = Field(16.0, ge=0.5, le=64)
    """Up to which epsilon is searched in L-inf, in grey levels of 0..255; in L2 up to this times
    the root of the number of values, the length of an L-inf attack that changes all of them."""
    steps: int = Field(6, ge=1, le=20)
    """Of PGD, for each epsilon that it is tried with."""
    draws: int = Field(4, ge=1, le=16)
    """Of random noise, for each epsilon of the curve."""
    segments: int = Field(15, ge=2, le=60)
    """Into how many the picture is cut, about, to find which alone can flip a word."""
    epsilon_segment: float = Field(1.0, ge=0.1, le=64)
    """L-inf, inside the segment that is attacked alone."""
    say: str = Field("", max_length=_LONGEST_WORD)
    """A word to make the captioner say; empty for none."""
    lose: str = Field("", max_length=_LONGEST_WORD)
    """A word of the caption to make the captioner lose; empty for the surest object word."""
    seed: int = Field(0, ge=0, le=2**32 - 1)
    """Of the noise."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One place of two captions that were aligned."""

    kind: EditKind
    before: str
    """The word of the original caption; empty if inserted."""
    after: str
    """The word of the other caption; empty if deleted."""


@dataclass(frozen=True, slots=True)
class Smallest:
    """The smallest perturbation that was found to do something: an upper bound of the true one."""

    attack: str
    """`fgsm` or `pgd`."""
    norm: Norm
    epsilon: float | None
    """None if none up to `largest` did."""
    largest: float
    """Up to which it was searched."""
    caption: str = ""
    """What is said then; empty if nothing was found. Of the attack on a word, the word that is
    likelier in its place."""


@dataclass(frozen=True, slots=True)
class WordFindings:
    """How firmly one word of the caption stands."""

    text: str
    index: int
    is_object: bool
    """Whether it is a content word that names something, see `word_kind`."""
    smallest: tuple[Smallest, ...]
    """By attack and norm: the smallest that makes another word likelier in its place, given the
    same words before. Epsilon is 0 if another one is on the clean picture too: a caption is found
    as a whole, and not each of its words is the likeliest in its place."""
    becomes: str
    """The word that is likelier then; empty if none was found, or if the caption ends there."""
    log_prob: float
    """Its calibrated log-probability, teacher-forced, on the clean picture: log p in nats."""
    log_prob_attacked: float
    """Of the attacked picture."""
    log_prob_noise: float
    """Mean over pictures with random noise of the attack's norm."""
    log_prob_hardened: float | None
    """Of the attacked picture, by the hardened decoder; None if there is none."""
    fragile: bool
    """Whether the plain decoder loses it under the attack and the hardened one keeps it: it rests
    on fragile features. False if there is no hardened decoder."""
    regions: tuple[int, ...]
    """Segments that alone can flip it, attacked within `Regions.epsilon`, by their labels."""


@dataclass(frozen=True, slots=True)
class Attacked:
    """The caption of the attacked picture, beside that of the clean one.

    The attack goes as far above the smallest that changes the caption as it takes until content
    words of it have changed, or up to the largest that is searched.
    """

    attack: str
    norm: Norm
    epsilon: float
    """The norm of the perturbation."""
    clean: str
    """f(x): what the captioner says of the clean picture."""
    attacked: str
    """f(x+d)."""
    diff: tuple[Edit, ...]
    """From f(x) to f(x+d)."""
    hardened_clean: str | None
    """g(x), by the hardened decoder; None if there is none."""
    hardened: str | None
    """g(x+d)."""
    hardened_diff: tuple[Edit, ...]
    """From f(x) to g(x+d); empty if there is none."""


@dataclass(frozen=True, slots=True)
class Curve:
    """How much of the caption changes as the perturbation grows."""

    norm: Norm
    attack: str
    epsilons: tuple[float, ...]
    changed: tuple[float, ...]
    """By the attack: word edits over the words of the original caption, at most 1."""
    log_prob: tuple[float, ...]
    """By the attack: mean log-probability of the original words, teacher-forced, in nats."""
    noise_changed: tuple[float, ...]
    """By random noise of the same norm: the mean over `draws`."""
    noise_changed_most: tuple[float, ...]
    """The most of any draw."""
    noise_log_prob: tuple[float, ...]
    draws: int


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Which parts of the picture suffice to flip words."""

    epsilon: float
    """L-inf, inside the segment alone."""
    labels: NDArray[np.int32]
    """[S, S]: the segment of each pixel of the picture as the captioner sees it, from 0."""
    count: int


@dataclass(frozen=True, slots=True)
class Keyword:
    """An attack that makes the captioner say a word, or lose one (Chen et al., ACL 2018)."""

    aim: Literal["say", "lose"]
    word: str
    smallest: Smallest


@dataclass(frozen=True, slots=True, eq=False)
class AdversarialFindings:
    """All of it."""

    smallest: tuple[Smallest, ...]
    """That change the caption, by attack and norm; the first is the headline."""
    words: tuple[WordFindings, ...]
    attacked: Attacked
    curve: Curve
    regions: Regions
    keywords: tuple[Keyword, ...]
    took_s: float
    """Of the engine's own time."""
    pictures: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    """RGB [S, S, 3] by name: `clean`, `attacked`, `perturbation` (magnified around grey by
    `magnified`), `map-before`, `map-after` (the live method's map of the whole caption, painted),
    `regions` (the picture with the segments outlined)."""
    magnified: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Return all but the pictures as JSON values; `regions.labels` is left out too."""
        values: dict[str, Any] = {
            "smallest": [asdict(each) for each in self.smallest],
            "words": [asdict(each) for each in self.words],
            "attacked": asdict(self.attacked),
            "curve": asdict(self.curve),
            "regions": {"epsilon": self.regions.epsilon, "count": self.regions.count},
            "keywords": [asdict(each) for each in self.keywords],
            "magnified": self.magnified,
            "took_s": round(self.took_s, 3),
        }
        return values


def diff_words(before: Sequence[str], after: Sequence[str]) -> tuple[Edit, ...]:
    """Align two captions with the fewest words substituted, inserted or deleted.

    Levenshtein's distance over words, by dynamic programming (Wagner and Fischer, "The
    String-to-String Correction Problem", JACM 1974). Of alignments with as few edits, one that
    keeps words as early as possible.

    Args:
        before: Words of the one.
        after: Words of the other.

    Returns:
        The edits in the order of the words: those that are not inserted have the words of
        `before`, those that are not deleted those of `after`.
    """
    rows, columns = len(before), len(after)
    # costs[i][j]: the fewest edits from before[i:] to after[j:].
    costs = [[0] * (columns + 1) for _ in range(rows + 1)]
    for i in range(rows, -1, -1):
        for j in range(columns, -1, -1):
            costs[i][j] = min((cost for cost, _ in _ways(costs, before, after, i, j)), default=0)
    edits: list[Edit] = []
    i = j = 0
    while i < rows or j < columns:
        _, edit = min(_ways(costs, before, after, i, j), key=lambda way: way[0])
        edits.append(edit)
        i, j = i + (edit.kind != "inserted"), j + (edit.kind != "deleted")
    return tuple(edits)


def edit_count(edits: Sequence[Edit]) -> int:
    """Count the words that were not kept."""
    return sum(edit.kind != "kept" for edit in edits)


def kept_places(edits: Sequence[Edit]) -> frozenset[int]:
    """Tell which words of the caption before were kept, by their places in it."""
    there = [edit for edit in edits if edit.kind != "inserted"]
    return frozenset(place for place, edit in enumerate(there) if edit.kind == "kept")


def _ways(
    costs: list[list[int]], before: Sequence[str], after: Sequence[str], i: int, j: int
) -> list[tuple[int, Edit]]:
    """What can be done at before[i:] and after[j:], with what it costs to the end."""
    ways: list[tuple[int, Edit]] = []
    if i < len(before) and j < len(after):
        same = before[i] == after[j]
        kind: EditKind = "kept" if same else "substituted"
        ways.append((costs[i + 1][j + 1] + (not same), Edit(kind, before[i], after[j])))
    if i < len(before):
        ways.append((costs[i + 1][j] + 1, Edit("deleted", before[i], "")))
    if j < len(after):
        ways.append((costs[i][j + 1] + 1, Edit("inserted", "", after[j])))
    return ways
