"""The contents of a report: captions an image, explains the caption and analyses it."""

import time
from collections.abc import Generator, Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings
from inference.captioning import Caption, Tag, Timing, Word
from inference.captioning.model import CaptionModel
from inference.captioning.still_image import caption_images
from inference.concepts import ConceptFindings
from inference.explanations import Check, Target
from inference.explanations.captioned_image import CaptionedImage
from inference.explanations.check import correct_checks
from inference.explanations.masking import check_map
from inference.explanations.method import Method
from inference.explanations.methods import METHODS
from inference.progress import ProgressPrinter, run_with_progress, scale_progress
from inference.report.document import Analyses, Contents, Explanation, MethodMaps
from models.word_kinds import word_kind

ANALYSES: Final = ("adversarial", "ace")
"""Names of the analyses: how easily the captioner is fooled, and which concepts it uses."""


def explain_image(
    model: CaptionModel,
    image: NDArray[np.uint8],
    methods: Sequence[str],
    progress: ProgressPrinter,
    *,
    check: bool = True,
) -> Contents:
    """Caption an image and explain the caption.

    Args:
        model: The captioner.
        image: RGB, uint8 [H, W, 3] of any size.
        methods: Names of methods that are available for the captioner. The first one that explains
            words is checked.
        progress: Reports each method, and the checks if there are any.
        check: Whether the maps of objects are checked, which takes seconds for each.

    Raises:
        ValueError: If the array is not such an image.
    """
    (found,) = caption_images(model, [image])
    if found.caption.fallback == "blank":
        return _blank_contents(model, image, found.caption)
    chosen = [METHODS[name] for name in methods]
    words, tokens = found.whole.words, found.tokens
    subject = CaptionedImage(model, image, tokens)
    explained = []
    for method in chosen:
        progress.begin(method.title)
        targets = list(_targets(method, words, found.caption.tags))
        explained.append(_explain(subject, method, targets, progress))
    checked = next((method for method in chosen if check and "word" in method.kinds), None)
    started = time.perf_counter()
    checks = {}
    if checked:
        progress.begin("check of the maps")
        (maps,) = (each for each in explained if each.method.name == checked.name)
        checks = run_with_progress(_check(subject, maps.explanations), progress)
    return Contents(
        image=image,
        card=model.card,
        caption=found.caption,
        words=words,
        tokens=tokens,
        methods=tuple(explained),
        checks=checks,
        checked_by=checked.name if checked else None,
        checks_ms=(time.perf_counter() - started) * 1e3,
    )


def explain_words(
    model: CaptionModel, image: NDArray[np.uint8], tokens: tuple[int, ...], *, checked: bool
) -> Generator[float, None, Contents]:
    """Explain the words of a caption by the maps that come with captions.

    Args:
        model: The captioner that produced the caption.
        image: RGB, uint8 [H, W, 3] of any size.
        tokens: The caption's.
        checked: Whether the maps of objects are checked, which takes seconds for each.

    Yields:
        The share that is done.
    """
    subject = CaptionedImage(model, image, tokens)
    captions = [
        model.build_caption(subject.rescored, subject.grid, Timing(0.0, 0.0), fallback=fallback)
        for fallback in (True, False)
    ]
    yield 0.0
    shown, whole = captions
    started = time.perf_counter()
    methods: tuple[MethodMaps, ...] = ()
    checks: dict[int, Check] = {}
    if whole.words:
        (maps,) = model.live_maps(subject.grid[None], [subject.rescored])
        card = METHODS[maps.method].card_for(model)
        explanations = [Explanation(Target("caption"), "whole caption", maps.caption)]
        for index, (word, found) in enumerate(zip(whole.words, maps.words, strict=True)):
            explanations.append(Explanation(Target("word", index), word.text, found))
        took_ms = (time.perf_counter() - started) * 1e3
        methods = (MethodMaps(card, tuple(explanations), took_ms),)
        started = time.perf_counter()
        if checked:
            checks = yield from _check(subject, explanations)
    return Contents(
        image=image,
        card=model.card,
        caption=shown,
        words=whole.words,
        tokens=tokens,
        methods=methods,
        checks=checks,
        checked_by=methods[0].method.name if methods and checked else None,
        checks_ms=(time.perf_counter() - started) * 1e3,
    )


def analyse_image(
    model: CaptionModel,
    image: NDArray[np.uint8],
    tokens: tuple[int, ...],
    names: tuple[str, ...],
    progress: ProgressPrinter,
) -> Analyses:
    """Run analyses of a caption with default parameters.

    Args:
        model: The captioner that produced the caption.
        image: RGB, uint8 [H, W, 3].
        tokens: The caption's, with at least one word.
        names: Of `ANALYSES`.
        progress: Reports each analysis.
    """
    adversarial: AdversarialFindings | None = None
    concepts: ConceptFindings | None = None
    # Imported here: what they compute with takes seconds to load.
    if "adversarial" in names:
        from inference.adversarial import AdversarialParams
        from inference.adversarial.analysis import analyse as analyse_robustness

        progress.begin("adversarial analysis")
        adversarial = run_with_progress(
            analyse_robustness(model, image, tokens, AdversarialParams()), progress
        )
    if "ace" in names:
        from inference.concepts import ConceptParams
        from inference.concepts.analysis import analyse as analyse_concepts

        progress.begin("concept analysis")
        concepts = run_with_progress(
            analyse_concepts(model, image, tokens, ConceptParams()), progress
        )
    return Analyses(adversarial, concepts)


def _blank_contents(model: CaptionModel, image: NDArray[np.uint8], caption: Caption) -> Contents:
    return Contents(
        image=image,
        card=model.card,
        caption=caption,
        words=(),
        tokens=(model.wording.end,),
        methods=(),
        checks={},
        checked_by=None,
        checks_ms=0.0,
    )


def _explain(
    subject: CaptionedImage,
    method: Method,
    targets: Sequence[tuple[Target, str]],
    progress: ProgressPrinter,
) -> MethodMaps:
    started = time.perf_counter()
    explanations = []
    for index, (target, title) in enumerate(targets):
        shares = index / len(targets), (index + 1) / len(targets)
        found = run_with_progress(method.explain(subject, target), progress, *shares)
        explanations.append(Explanation(target, title, found))
    card = method.card_for(subject.model)
    return MethodMaps(card, tuple(explanations), (time.perf_counter() - started) * 1e3)


def _targets(
    method: Method, words: Sequence[Word], tags: Sequence[Tag]
) -> Iterator[tuple[Target, str]]:
    """Yield the targets to explain and their titles; for slow methods, not every word."""
    if words and "caption" in method.kinds:
        yield Target("caption"), "whole caption"
    if "word" in method.kinds:
        for index, word in enumerate(words):
            if not method.slow or word_kind(word.text) == "object":
                yield Target("word", index), word.text
    if "tag" in method.kinds and not method.slow:
        for tag in tags:
            yield Target("tag", text=tag.text), tag.text


def _check(
    subject: CaptionedImage, explanations: Sequence[Explanation]
) -> Generator[float, None, dict[int, Check]]:
    """Check the maps of object words; yield the share that is done."""
    objects = {
        each.target.index: each.map
        for each in explanations
        if each.target.kind == "word"
        and each.target.index is not None
        and word_kind(subject.spans[each.target.index].text) == "object"
    }
    checks = {}
    for number, (index, found) in enumerate(objects.items()):
        share = 1 / len(objects)
        work = check_map(subject, found, index)
        checks[index] = yield from scale_progress(number * share, share, work)
    return correct_checks(checks)
