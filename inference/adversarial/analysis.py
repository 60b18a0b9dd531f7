"""The adversarial analysis of one picture and its caption, all of it.

What an adversarial analysis is expected to take.

The pictures of an adversarial analysis.
"""

from collections.abc import Generator, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.aims import ChangeCaption
from inference.adversarial.attack import Attack, Found
from inference.adversarial.comparison import Headline, Saying, compare, telling
from inference.adversarial.curve import curve, noise_of
from inference.adversarial.findings import (
    AdversarialFindings,
    AdversarialParams,
    Curve,
    Keyword,
    Regions,
    Smallest,
    WordFindings,
)
from inference.adversarial.word_attacks import (
    KeywordAim,
    WordAttacks,
    attack_keyword,
    attack_word,
    is_object,
    keyword_aims,
    outline,
)
from inference.captioning.model import CaptionModel
from inference.explanations import paint
from inference.explanations.live import live_maps
from inference.explanations.subject import Subject
from inference.progress import Part, PartProgress, Step
from inference.segmentation import segment
from models.attacks import Norm
from models.captioner import BeamCaption

_NORMS: tuple[Norm, ...] = ("linf", "l2")

_Found = dict[tuple[str, Norm], Found | None]
"""What changes the caption, by attack and norm."""

_LOOK_S, _PASS_S = 0.025, 0.09
"""To encode a picture and to search for its caption; to go back to the pixels as well."""

_GREY, _ROOM = 128.0, 120.0
"""What stands for no change, and the grey levels that the largest change is magnified to."""


def analyse(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    params: AdversarialParams,
) -> Generator[Step, None, AdversarialFindings]:
    """Find out how easily the caption of a picture is changed.

    The picture is attacked as the encoder gets it, in fractions of grey levels: what an 8-bit
    picture can hold is coarser. The attacker knows the captioner's weights, and attacks the plain
    decoder; the hardened one is only asked what it says.

    Args:
        model: The captioner.
        image: RGB, uint8 [H, W, 3] of any size.
        tokens: The caption's, with its end, as the search found them. If a stream has kept the
            caption of an earlier picture, or searched with another beam width, to say what the
            captioner says of this picture alone counts as no change either.
        params: What is asked.

    Yields:
        How far it is, between passes.

    Returns:
        What was found; the same for the same params.

    Raises:
        ValueError: If the image cannot be captioned, the tokens are no caption or one without
            words, or the captioner cannot say or lose the words that it is to.
    """
    subject = Subject(model, image, tokens)
    if not subject.words:
        raise ValueError("a caption without words cannot be attacked")
    aims = keyword_aims(subject, params)
    progress = PartProgress(parts(subject, params, len(aims)))
    work = _Analysis(subject, params)
    follow = progress.follow

    labels = yield from follow("ready", work.prepare())
    found = yield from follow("caption", work.attack_caption())
    words = yield from follow("words", work.attack_words(labels))
    keywords = yield from follow("keywords", work.attack_keywords(aims, found))
    headline = yield from follow("shown", work.show(found))
    grown = yield from follow("curve", work.grow())
    noisy = yield from follow("noise", work.add_noise(headline))
    drawn, magnified = yield from follow("pictures", work.draw(headline, labels))
    return AdversarialFindings(
        smallest=work.smallest(found),
        words=work.word_findings(words, headline, noisy),
        attacked=headline.attacked,
        curve=grown,
        regions=Regions(params.epsilon_segment, labels, int(labels.max()) + 1),
        keywords=keywords,
        took_s=progress.took_s,
        pictures=drawn,
        magnified=magnified,
    )


class _Analysis:
    """The parts of an analysis, each of which yields between passes."""

    def __init__(self, subject: Subject, params: AdversarialParams) -> None:
        self._subject, self._params = subject, params
        self._random = np.random.default_rng(params.seed)

    @cached_property
    def _usual(self) -> ChangeCaption:
        return ChangeCaption(self._subject)

    @cached_property
    def _attack(self) -> Attack:
        return Attack(self._subject, self._usual, self._params.epsilon_most)

    @cached_property
    def _saying(self) -> Saying:
        return Saying(self._subject, self._usual)

    def prepare(self) -> Generator[None, None, NDArray[np.int32]]:
        """Cut the picture into segments, and compute first what has to be compiled."""
        yield
        labels = segment(self._subject.pixels, self._params.segments)
        yield
        _ = self._usual
        yield
        _ = self._attack.slope
        if hardened := self._subject.model.hardened:
            grids = np.repeat(self._subject.grid[None], 2, axis=0)
            yield
            hardened.search(grids)
            yield
            hardened.retell(grids[:1], [self._subject.tokens])
        return labels

    def attack_caption(self) -> Generator[None, None, _Found]:
        """Search in both norms."""
        attack, found = self._attack, _Found()
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
        for place in range(len(self._subject.words)):
            words.append((yield from attack_word(self._subject, place, self._params, labels)))
        return words

    def attack_keywords(
        self, aims: Sequence[KeywordAim], found: _Found
    ) -> Generator[None, None, tuple[Keyword, ...]]:
        """Make the captioner lose a word, and say one."""
        norm = self._params.norm
        others = [each for (_, of), each in found.items() if of == norm and each]
        keywords = []
        for aim in aims:
            keywords.append((yield from attack_keyword(self._subject, aim, self._params, others)))
        return tuple(keywords)

    def show(self, found: _Found) -> Generator[None, None, Headline]:
        """Attack so that something else is said, and compare the decoders."""
        norm, steps = self._params.norm, self._params.steps
        changed = found["pgd", norm]
        perturbation = yield from telling(self._attack, changed, norm, steps)
        return (yield from compare(self._subject, self._usual, perturbation, norm))

    def grow(self) -> Generator[None, None, Curve]:
        """Draw the curve."""
        norm, draws = self._params.norm, self._params.draws
        return (yield from curve(self._attack, self._saying, norm, draws, self._random))

    def add_noise(self, headline: Headline) -> Generator[None, None, NDArray[np.float32]]:
        """Tell the words' mean log-probabilities, [T], with noise of the norm that was shown."""
        epsilon, norm = headline.attacked.epsilon, self._params.norm
        pixels, draws = self._attack.pixels, self._params.draws
        said = yield from noise_of(pixels, self._saying, epsilon, norm, draws, self._random)
        return np.asarray(said.log_probs.mean(axis=0))

    def draw(
        self, headline: Headline, labels: NDArray[np.int32]
    ) -> Generator[None, None, tuple[dict[str, NDArray[np.uint8]], float]]:
        """Draw the pictures."""
        yield
        return pictures(self._subject, headline.perturbation, labels)

    def smallest(self, found: _Found) -> tuple[Smallest, ...]:
        """List what changes the caption, the attack that is shown first."""
        text = self._subject.model.text
        order = sorted(found, key=lambda key: (key[0] != "pgd", key[1] != self._params.norm))
        return tuple(
            self._attack.told(
                name, norm, each, text(np.array(each.tokens, np.int32)) if each else ""
            )
            for name, norm in order
            for each in [found[name, norm]]
        )

    def word_findings(
        self, words: Sequence[WordAttacks], headline: Headline, noisy: NDArray[np.float32]
    ) -> tuple[WordFindings, ...]:
        """Put together what is known of each word."""
        subject, hardened = self._subject, headline.log_probs_hardened
        texts = subject.model.captioner.vocabulary.decode(subject.words)
        return tuple(
            WordFindings(
                text=text,
                index=place,
                is_object=is_object(text),
                smallest=word.smallest,
                becomes=word.becomes,
                log_prob=float(subject.told.log_probs[place]),
                log_prob_attacked=float(headline.log_probs[place]),
                log_prob_noise=float(noisy[place]),
                log_prob_hardened=None if hardened is None else float(hardened[place]),
                fragile=place in headline.fragile,
                regions=word.regions,
            )
            for place, (text, word) in enumerate(zip(texts, words, strict=True))
        )


def parts(subject: Subject, params: AdversarialParams, keywords: int) -> dict[str, Part]:
    """List the parts in their order, with the seconds and slices that were measured of them.

    Args:
        subject: The picture and its caption.
        params: What is asked.
        keywords: How many words are to be said or lost.
    """
    words = subject.model.captioner.vocabulary.decode(subject.words)
    objects = sum(map(is_object, words))
    steps, draws = params.steps, params.draws
    segments = len(words) * params.segments
    return {
        "ready": Part("Getting ready", 0.3, 5),
        "caption": _part("Searching for the smallest change of the caption", 20, 5 * steps),
        "words": _part(
            "Searching for the smallest change of each word",
            13 * len(words) + segments // 4,
            4 * steps * objects / 2 + len(words),
        ),
        "keywords": _part("Attacking a word wherever it stands", 8, 3 * steps * keywords),
        "shown": _part("Attacking until something else is said", 4, 2 * steps),
        "curve": Part(
            "Comparing with random noise",
            16 * _PASS_S + 8 * (1 + draws) * _LOOK_S,
            24 + 4 * draws,
        ),
        "noise": _part("Comparing with random noise", draws / 2, 0),
        "pictures": _part("Drawing pictures", 3, 0),
    }


def _part(doing: str, looks: float, passes: float) -> Part:
    return Part(doing, looks * _LOOK_S + passes * _PASS_S, looks + passes)


def pictures(
    subject: Subject, perturbation: NDArray[np.float32], labels: NDArray[np.int32]
) -> tuple[dict[str, NDArray[np.uint8]], float]:
    """Draw all of them; see `AdversarialFindings.pictures`.

    The attacked picture is rounded to whole grey levels to be drawn, and so is no picture that
    fools the captioner if the perturbation is finer than that.

    Args:
        subject: The picture and its caption.
        perturbation: [1, S, S, 3].
        labels: [S, S]: the segment of each pixel.

    Returns:
        RGB pictures, uint8 [S, S, 3], by name; and how much the perturbation is magnified.
    """
    model, clean = subject.model, subject.pixels
    changed = clean + perturbation[0]
    attacked = np.rint(changed).astype(np.uint8)
    magnified = _ROOM / max(float(np.abs(perturbation).max()), 1e-6)
    grid = model.encode_pixels(changed[None])
    found = BeamCaption(*(part[0] for part in model.search(grid)))
    (before,) = live_maps(model.graphs, subject.grid[None], [subject.told])
    (after,) = live_maps(model.graphs, grid, [found])
    drawn = {
        "clean": clean,
        "attacked": attacked,
        "perturbation": np.rint(_GREY + magnified * perturbation[0]).astype(np.uint8),
        "map-before": paint(clean, before.caption),
        "map-after": paint(attacked, after.caption),
        "regions": outline(clean, labels),
    }
    return drawn, magnified
