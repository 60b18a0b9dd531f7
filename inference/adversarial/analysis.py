"""The complete adversarial analysis of one image and its caption."""

from collections.abc import Generator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.attack import AdversarialExample, Attack
from inference.adversarial.comparison import ShownAttack, compare_decoders, strengthen
from inference.adversarial.curve import PerturbedCaptioner, caption_noise, measure_curve
from inference.adversarial.findings import (
    AdversarialFindings,
    AdversarialParams,
    Curve,
    KeywordAttack,
    Regions,
    SmallestPerturbation,
    WordFindings,
)
from inference.adversarial.goals import ChangeCaption
from inference.adversarial.rendering import render
from inference.adversarial.word_attacks import (
    KeywordGoal,
    WordAttacks,
    attack_keyword,
    attack_word,
    is_object,
    keyword_goals,
)
from inference.captioning.model import CaptionModel
from inference.explanations.captioned_image import CaptionedImage
from inference.progress import Progress, Stage, StagedProgress
from inference.segmentation import segment
from models.attacks import Norm

_NORMS: tuple[Norm, ...] = ("linf", "l2")

_CaptionAttacks = dict[tuple[str, Norm], AdversarialExample | None]
"""What changes the caption, by attack and norm."""

_EVALUATE_S, _GRADIENT_S = 0.025, 0.09
"""Seconds to encode an image and search for its caption, and to differentiate to its pixels."""


def analyse(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    params: AdversarialParams,
) -> Generator[Progress, None, AdversarialFindings]:
    """Measure how easily the caption of an image changes.

    The attack is white-box: it uses the captioner's weights. It targets the plain decoder; the
    hardened decoder only captions the result. Perturbations are fractions of grey levels, added to
    the image as the encoder receives it, which is finer than an 8-bit image can store.

    Args:
        model: The captioner.
        image: RGB, uint8 [H, W, 3] of any size.
        tokens: The caption's, with its end token, as beam search found them. If a stream reused an
            earlier frame's caption or searched with another beam width, the caption of this image
            alone does not count as a change either.
        params: The parameters.

    Yields:
        Progress, between passes.

    Returns:
        The findings; the same for the same params.

    Raises:
        ValueError: If the captioner has no gradients, the image cannot be captioned, the tokens are
            no caption or have no words, or a word to add or remove is unsuitable, see
            `keyword_goals`.
    """
    if "adversarial" not in model.analyses:
        raise ValueError("this captioner cannot be attacked: it has no gradients")
    subject = CaptionedImage(model, image, tokens)
    if not subject.words:
        raise ValueError("a caption without words cannot be attacked")
    goals = keyword_goals(subject, params)
    progress = StagedProgress(stages(subject, params, len(goals)))
    analysis = _Analysis(subject, params)
    run = progress.run

    labels = yield from run("prepare", analysis.prepare())
    found = yield from run("caption", analysis.attack_caption())
    words = yield from run("words", analysis.attack_words(labels))
    keywords = yield from run("keywords", analysis.attack_keywords(goals, found))
    shown = yield from run("shown", analysis.choose_shown_attack(found))
    curve = yield from run("curve", analysis.measure_curve())
    noise_log_probs = yield from run("noise", analysis.measure_noise(shown))
    images, magnified = yield from run("images", analysis.render(shown, labels))
    return AdversarialFindings(
        smallest=analysis.smallest(found),
        words=analysis.word_findings(words, shown, noise_log_probs),
        attacked=shown.attacked,
        curve=curve,
        regions=Regions(params.epsilon_segment, labels, int(labels.max()) + 1),
        keywords=keywords,
        took_s=progress.took_s,
        pictures=images,
        magnified=magnified,
    )


def stages(subject: CaptionedImage, params: AdversarialParams, keywords: int) -> dict[str, Stage]:
    """List the stages in order, with the expected seconds and slices, from measurements.

    Args:
        subject: The image and its caption.
        params: The parameters.
        keywords: Number of words to add or remove.
    """
    words = [word.text for word in subject.spans]
    objects = sum(map(is_object, words))
    steps, draws = params.steps, params.draws
    segments = len(words) * params.segments
    return {
        "prepare": Stage("Preparing", 0.3, 5),
        "caption": _stage("Searching for the smallest change of the caption", 20, 5 * steps),
        "words": _stage(
            "Searching for the smallest change of each word",
            13 * len(words) + segments // 4,
            4 * steps * objects / 2 + len(words),
        ),
        "keywords": _stage("Adding or removing a word", 8, 3 * steps * keywords),
        "shown": _stage("Strengthening the attack until content words change", 4, 2 * steps),
        "curve": Stage(
            "Comparing with random noise",
            16 * _GRADIENT_S + 8 * (1 + draws) * _EVALUATE_S,
            24 + 4 * draws,
        ),
        "noise": _stage("Comparing with random noise", draws / 2, 0),
        "images": _stage("Drawing images", 3, 0),
    }


class _Analysis:
    """The stages of an analysis, each of which yields between passes."""

    def __init__(self, subject: CaptionedImage, params: AdversarialParams) -> None:
        self._subject, self._params = subject, params
        self._random = np.random.default_rng(params.seed)

    @cached_property
    def _goal(self) -> ChangeCaption:
        return ChangeCaption(self._subject)

    @cached_property
    def _attack(self) -> Attack:
        return Attack(self._subject, self._goal, self._params.epsilon_most)

    @cached_property
    def _captioner(self) -> PerturbedCaptioner:
        return PerturbedCaptioner(self._subject, self._goal)

    def prepare(self) -> Generator[None, None, NDArray[np.int32]]:
        """Segment the image, and run first what has to be compiled; return the segment labels."""
        yield
        labels = segment(self._subject.pixels, self._params.segments)
        yield
        _ = self._goal
        yield
        _ = self._attack.gradient
        if hardened := self._subject.model.hardened:
            grids = np.repeat(self._subject.grid[None], 2, axis=0)
            yield
            hardened.search(grids)
            yield
            hardened.rescore(grids[:1], [self._subject.tokens])
        return labels

    def attack_caption(self) -> Generator[None, None, _CaptionAttacks]:
        """Attack the caption by FGSM and PGD in both norms."""
        attack, found = self._attack, _CaptionAttacks()
        one_step = yield from attack.fgsm("linf")
        found["fgsm", "linf"] = one_step
        found["fgsm", "l2"] = yield from attack.fgsm("l2", one_step)
        for norm in _NORMS:
            found["pgd", norm] = yield from attack.pgd(
                norm, self._params.steps, found["fgsm", norm], one_step
            )
        return found

    def attack_words(self, labels: NDArray[np.int32]) -> Generator[None, None, list[WordAttacks]]:
        """Attack each word."""
        words = []
        for place in range(len(self._subject.spans)):
            words.append((yield from attack_word(self._subject, place, self._params, labels)))
        return words

    def attack_keywords(
        self, goals: Sequence[KeywordGoal], found: _CaptionAttacks
    ) -> Generator[None, None, tuple[KeywordAttack, ...]]:
        """Force words out of the caption and into it."""
        others = [each for (_, norm), each in found.items() if norm == self._params.norm and each]
        keywords = []
        for goal in goals:
            keywords.append((yield from attack_keyword(self._subject, goal, self._params, others)))
        return tuple(keywords)

    def choose_shown_attack(self, found: _CaptionAttacks) -> Generator[None, None, ShownAttack]:
        """Strengthen the attack until content words change, and compare the decoders."""
        norm, steps = self._params.norm, self._params.steps
        perturbation = yield from strengthen(self._attack, found["pgd", norm], norm, steps)
        return (yield from compare_decoders(self._subject, self._goal, perturbation, norm))

    def measure_curve(self) -> Generator[None, None, Curve]:
        """Measure the curve."""
        norm, draws = self._params.norm, self._params.draws
        return (yield from measure_curve(self._attack, self._captioner, norm, draws, self._random))

    def measure_noise(self, shown: ShownAttack) -> Generator[None, None, NDArray[np.float32]]:
        """Return each word's mean log-probability under noise of the shown attack's norm."""
        epsilon, norm = shown.attacked.epsilon, self._params.norm
        pixels, draws = self._attack.pixels, self._params.draws
        captions = yield from caption_noise(
            pixels, self._captioner, epsilon, norm, draws, self._random
        )
        return np.asarray(captions.log_probs.mean(axis=0))

    def render(
        self, shown: ShownAttack, labels: NDArray[np.int32]
    ) -> Generator[None, None, tuple[dict[str, NDArray[np.uint8]], float]]:
        """Draw the images."""
        yield
        return render(self._subject, shown.perturbation, labels)

    def smallest(self, found: _CaptionAttacks) -> tuple[SmallestPerturbation, ...]:
        """List what changes the caption, the shown attack's kind first."""
        text = self._subject.model.text
        order = sorted(found, key=lambda key: (key[0] != "pgd", key[1] != self._params.norm))
        return tuple(
            self._attack.smallest(name, norm, each, text(each.tokens) if each else "")
            for name, norm in order
            for each in [found[name, norm]]
        )

    def word_findings(
        self,
        words: Sequence[WordAttacks],
        shown: ShownAttack,
        noise_log_probs: NDArray[np.float32],
    ) -> tuple[WordFindings, ...]:
        """Collect the findings on each word."""
        subject, hardened = self._subject, shown.log_probs_hardened
        log_probs = subject.word_sums(subject.rescored.log_probs)
        return tuple(
            WordFindings(
                text=span.text,
                index=place,
                is_object=is_object(span.text),
                smallest=word.smallest,
                becomes=word.becomes,
                log_prob=float(log_probs[place]),
                log_prob_attacked=float(shown.log_probs[place]),
                log_prob_noise=float(noise_log_probs[place]),
                log_prob_hardened=None if hardened is None else float(hardened[place]),
                fragile=place in shown.fragile,
                regions=word.regions,
            )
            for place, (span, word) in enumerate(zip(subject.spans, words, strict=True))
        )


def _stage(doing: str, evaluations: float, gradients: float) -> Stage:
    seconds = evaluations * _EVALUATE_S + gradients * _GRADIENT_S
    return Stage(doing, seconds, evaluations + gradients)
