"""Shares of the verdicts of the check of maps, by explanation method, over object words.

Each word is judged on its own, as on the page. The same region put into one of its places at random
is judged as well: how often that holds up shows whether the test rejects as seldom as it should.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from inference.captioning.model import CaptionModel
from inference.explanations import Target, Verdict
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.check import compare_places
from inference.explanations.masking import blank_places
from inference.explanations.methods import METHODS
from inference.explanations.score import target_score
from inference.faithfulness.measurement import Sample
from inference.progress import finish
from models.word_kinds import word_kind

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

RANDOM_PLACES = 20
"""For each word and method."""


@dataclass(frozen=True, slots=True)
class CheckedWord:
    """The verdicts about the maps of one word, by explanation method."""

    text: str
    verdicts: dict[str, Verdict]
    p: dict[str, float | None]
    random: dict[str, float]
    """Share of random places in which the region holds up."""


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """The object words of one image."""

    caption: str
    words: tuple[CheckedWord, ...]


def check_image(
    model: CaptionModel, sample: Sample, methods: Sequence[str], random: np.random.Generator
) -> CheckedImage:
    """Check the maps of all object words of a caption.

    Args:
        model: The captioner.
        sample: The image and its caption.
        methods: Names of `METHODS`.
        random: Chooses the random places.
    """
    subject = CaptionedImage(model, sample.image, sample.tokens)
    words = [
        _check_word(subject, index, text, methods, random)
        for index, text in enumerate(sample.words)
        if word_kind(text) == "object"
    ]
    return CheckedImage(" ".join(sample.words), tuple(words))


def read_image(values: dict[str, Any]) -> CheckedImage:
    """Read an image from a journal."""
    return CheckedImage(values["caption"], tuple(CheckedWord(**word) for word in values["words"]))


def summarise_checks(images: Sequence[CheckedImage]) -> dict[str, dict[str, float]]:
    """Return the share of each verdict in 0..1 by method, and of random places that hold up."""
    words = [word for image in images for word in image.words]
    methods = list(words[0].verdicts) if words else []
    return {
        name: {
            **{
                verdict: sum(word.verdicts[name] == verdict for word in words) / len(words)
                for verdict in VERDICTS
            },
            "random": sum(word.random[name] for word in words) / len(words),
        }
        for name in methods
    }


def markdown_lines(images: Sequence[CheckedImage]) -> Iterator[str]:
    """Format the shares as a Markdown table."""
    words = sum(len(image.words) for image in images)
    yield f"Check of the maps of {words} object words of {len(images)} images"
    yield ""
    yield f"| maps | {' | '.join(VERDICTS)} | holds up at a random place |"
    yield "|---" * (len(VERDICTS) + 2) + "|"
    for name, shares in summarise_checks(images).items():
        yield f"| `{name}` | {' | '.join(f'{share:.0%}' for share in shares.values())} |"


def _check_word(
    subject: CaptionedImage,
    index: int,
    text: str,
    methods: Sequence[str],
    random: np.random.Generator,
) -> CheckedWord:
    target = Target("word", index)
    score = target_score(subject, target)
    (whole,) = score.probabilities(subject.grid[None]).tolist()
    verdicts: dict[str, Verdict] = {}
    p: dict[str, float | None] = {}
    held: dict[str, float] = {}
    for name in methods:
        found = finish(METHODS[name].explain(subject, target))
        places, probs = finish(blank_places(subject, found, score))
        # Each place of a region has the same places, see `placements`.
        checks = [
            compare_places(
                [places[chosen], *places[:chosen], *places[chosen + 1 :]],
                np.concatenate([probs[chosen : chosen + 1], np.delete(probs, chosen)]),
                whole,
            )
            for chosen in [0, *random.integers(len(places), size=RANDOM_PLACES)]
        ]
        own, *others = checks
        verdicts[name], p[name] = own.verdict, own.p
        held[name] = sum(each.verdict == "holds up" for each in others) / RANDOM_PLACES
    return CheckedWord(text, verdicts, p, held)
