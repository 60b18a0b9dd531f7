"""The complete adversarial analysis of one image and its caption."""

from collections.abc import Generator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.attack import Attack
from inference.adversarial.caption_attacks import CaptionAttacks
from inference.adversarial.comparison import ComparedModels, compare_models
from inference.adversarial.curve import PerturbedCaptioner, caption_noise, measure_curve
from inference.adversarial.findings import (
    AdversarialFindings,
    AdversarialParams,
    AttackedCaption,
    Curve,
    HarmlessChange,
    KeywordAttack,
    Regions,
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

_EVALUATE_S, _GRADIENT_S = 0.025, 0.09
"""Seconds to encode an image and search for its caption, and to differentiate to its pixels."""


def analyse(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    params: AdversarialParams,
) -> Generator[Progress, None, AdversarialFindings]:
    """Measure how easily the caption of an image changes.

    The attack is white-box: it uses the captioner's weights. It targets the captioner; the
    hardened model and its control only caption the result. Perturbations are fractions of grey
    levels, added to the image as the encoder receives it, which is finer than an 8-bit image can
    store; what is left of them in one is measured.

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
    words = yield from run("words", analysis.attack_words(labels))
    attacked = yield from run("caption", analysis.attack_caption(words))
    keywords = yield from run("keywords", analysis.attack_keywords(goals))
    harmless = yield from run("harmless", analysis.change_harmlessly())
    compared = yield from run("compared", analysis.compare_models())
    curve = yield from run("curve", analysis.measure_curve())
    noise_log_probs = yield from run("noise", analysis.measure_noise())
    images, magnified = yield from run("images", analysis.render(labels))
    return AdversarialFindings(
        smallest=analysis.caption_attacks.findings(),
        words=analysis.word_findings(words, compared, noise_log_probs),
        attacked=attacked,
        harmless=harmless,
        comparison=compared.comparison,
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
        "words": _stage(
            "Searching for the smallest change of each word",
            9 * len(words) + segments // 4,
            2 * objects + 3 * len(words),
        ),
        "caption": _stage("Searching for the smallest change of the caption", 60, 14 + steps),
        "keywords": _stage("Adding or removing a word", 8, 3 * steps * keywords),
        "harmless": _stage("Comparing with harmless changes", 3, 0),
        "compared": _stage("Comparing with the hardened model", 6, 4),
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
    def caption_attacks(self) -> CaptionAttacks:
        """What the attacks on the caption have found."""
        return CaptionAttacks(self._attack, self._goal, self._params)

    @cached_property
    def _captioner(self) -> PerturbedCaptioner:
        return PerturbedCaptioner(self._subject, self._goal)

    @property
    def _compared_epsilon(self) -> float:
        return min(self._params.epsilon_compare, self._params.epsilon_most)

    def prepare(self) -> Generator[None, None, NDArray[np.int32]]:
        """Segment the image, and run first what has to be compiled; return the segment labels."""
        yield
        labels = segment(self._subject.pixels, self._params.segments)
        yield
        _ = self._goal
        yield
        _ = self._attack.gradient
        return labels

    def attack_caption(
        self, words: Sequence[WordAttacks]
    ) -> Generator[None, None, AttackedCaption]:
        """Search for the smallest change of the caption."""
        others = [word.example for word in words if word.example]
        yield from self.caption_attacks.search(others, self._random)
        return (yield from self.caption_attacks.describe())

    def attack_words(self, labels: NDArray[np.int32]) -> Generator[None, None, list[WordAttacks]]:
        """Attack each word."""
        words = []
        for place in range(len(self._subject.spans)):
            words.append((yield from attack_word(self._subject, place, self._params, labels)))
        return words

    def attack_keywords(
        self, goals: Sequence[KeywordGoal]
    ) -> Generator[None, None, tuple[KeywordAttack, ...]]:
        """Force words out of the caption and into it."""
        others = self.caption_attacks.examples
        keywords = []
        for goal in goals:
            keywords.append((yield from attack_keyword(self._subject, goal, self._params, others)))
        return tuple(keywords)

    def change_harmlessly(self) -> Generator[None, None, tuple[HarmlessChange, ...]]:
        """Caption the image after harmless changes."""
        return (yield from self.caption_attacks.change_harmlessly(self._random))

    def compare_models(self) -> Generator[None, None, ComparedModels]:
        """Compare the captioner with the hardened model and its control."""
        return (yield from compare_models(self._attack, self._goal, self._compared_epsilon))

    def measure_curve(self) -> Generator[None, None, Curve]:
        """Measure the curve."""
        norm, draws = self._params.norm, self._params.draws
        return (yield from measure_curve(self._attack, self._captioner, norm, draws, self._random))

    def measure_noise(self) -> Generator[None, None, NDArray[np.float32]]:
        """Return each word's mean log-probability under noise of the comparison's size."""
        epsilon, draws = self._compared_epsilon, self._params.draws
        captions = yield from caption_noise(
            self._attack.pixels, self._captioner, epsilon, "linf", draws, self._random
        )
        return np.asarray(captions.log_probs.mean(axis=0))

    def render(
        self, labels: NDArray[np.int32]
    ) -> Generator[None, None, tuple[dict[str, NDArray[np.uint8]], float]]:
        """Draw the images."""
        yield
        return render(self._subject, self.caption_attacks.perturbation(), labels)

    def word_findings(
        self,
        words: Sequence[WordAttacks],
        compared: ComparedModels,
        noise_log_probs: NDArray[np.float32],
    ) -> tuple[WordFindings, ...]:
        """Collect the findings on each word."""
        subject, hardened = self._subject, compared.log_probs_hardened
        log_probs = subject.word_sums(subject.rescored.log_probs)
        return tuple(
            WordFindings(
                text=span.text,
                index=place,
                is_object=is_object(span.text),
                smallest=word.smallest,
                becomes=word.becomes,
                log_prob=float(log_probs[place]),
                log_prob_attacked=float(compared.log_probs[place]),
                log_prob_noise=float(noise_log_probs[place]),
                log_prob_hardened=None if hardened is None else float(hardened[place]),
                fragile=place in compared.fragile,
                regions=word.regions,
            )
            for place, (span, word) in enumerate(zip(subject.spans, words, strict=True))
        )


def _stage(doing: str, evaluations: float, gradients: float) -> Stage:
    seconds = evaluations * _EVALUATE_S + gradients * _GRADIENT_S
    return Stage(doing, seconds, evaluations + gradients)
