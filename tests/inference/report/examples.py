"""Invented findings, with the words that a test chooses."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.adversarial.findings import (
    AdversarialFindings,
    AttackedCaption,
    ComparedCaption,
    Comparison,
    Curve,
    HarmlessChange,
    KeywordAttack,
    Regions,
    Rounding,
    SmallestPerturbation,
    WordFindings,
)
from inference.captioning.caption import Caption, Fallback, Tag, Timing, Word
from inference.concepts.findings import (
    Component,
    ConceptFindings,
    ConceptInFrame,
    Evidence,
    Factors,
    FalsePositives,
    WordConcepts,
)
from inference.explanations import Check, Map, MethodCard, Target, Tile
from inference.report import (
    Contents,
    Document,
    Explanation,
    MethodMaps,
    PaintedMaps,
    render_page,
)
from inference.webp import encode_webp
from models.language import WordEdit
from tests.support.html_tree import Element, read

SIDE = 260
_EPSILONS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


@dataclass(frozen=True, slots=True)
class ExampleCaptioner:
    """The quoted part of a model card."""

    name: str = "Example"
    licence: str = "CC0-1.0"
    data: str = "nothing"


def example_image(seed: int = 0, height: int = SIDE, width: int = SIDE) -> NDArray[np.uint8]:
    """Noise in blocks, about as compressible as a photograph: RGB, uint8 [height, width, 3]."""
    small = np.random.default_rng(seed).integers(0, 256, (-(-height // 4), -(-width // 4), 3))
    return np.asarray(small, np.uint8).repeat(4, axis=0).repeat(4, axis=1)[:height, :width]


def caption(text: str = "A dog on grass", guess: str = "") -> Caption:
    """Return a caption; with a guess, one of low confidence."""
    fallback: Fallback | None = "tags" if guess else None
    timing = Timing(encoder=1.0, decoder=1.0)
    return Caption(text, 0.61, (), (Tag("dog", 0.93),), fallback, guess, False, timing)


def adversarial(
    words: tuple[str, ...] = ("a", "dog", "on", "grass"),
    becomes: str = "cat",
    *,
    epsilon: float | None = 0.4,
    hardened: bool = True,
    chance: float | None = 0.2,
) -> AdversarialFindings:
    """Return findings in which the second word becomes another, and depends on fragile features."""
    clean = " ".join(words)
    changed = " ".join(filter(None, (words[0], becomes, *words[2:])))
    kept = [WordEdit("kept", word, word) for word in words]
    diff = (kept[0], WordEdit("substituted", words[1], becomes), *kept[2:])
    smallest = (
        SmallestPerturbation("pgd", "linf", epsilon, 16.0, changed if epsilon is not None else ""),
        SmallestPerturbation("fgsm", "l2", None, 7205.0),
    )
    labels = np.arange(SIDE, dtype=np.int32)[:, None] // 130 * 2 + np.arange(SIDE) // 130
    found = tuple(
        _word(index, word, becomes, epsilon, hardened=hardened) for index, word in enumerate(words)
    )
    names = ("clean", "attacked", "perturbation", "map-before", "map-after", "regions")
    return AdversarialFindings(
        smallest=smallest,
        words=found,
        attacked=AttackedCaption(
            attack="pgd",
            norm="linf",
            epsilon=16.0 if epsilon is None else epsilon,
            clean=clean,
            attacked=changed,
            diff=diff,
            rounding=Rounding(clean, survives=False, whole_levels=1),
        ),
        harmless=(
            HarmlessChange("JPEG of quality 95", clean, changed=False),
            HarmlessChange("shift by one pixel", "a dog in grass", changed=True),
        ),
        comparison=Comparison(
            0.5,
            (
                ComparedCaption("plain", clean, changed, diff),
                ComparedCaption("hardened", clean, clean, tuple(kept)),
                ComparedCaption("control", clean, changed, diff),
            )[: 3 if hardened else 1],
            chance if hardened else None,
            200,
        ),
        curve=Curve(
            norm="linf",
            attack="pgd",
            epsilons=_EPSILONS,
            changed=(0, 0.25, 0.5, 0.75, 1, 1, 1),
            log_prob=(-0.4, -1, -2, -3, -4.5, -6, -7),
            noise_changed=(0, 0, 0, 0, 0.125, 0.25, 0.25),
            noise_changed_most=(0, 0, 0, 0, 0.25, 0.25, 0.5),
            noise_log_prob=(-0.4, -0.4, -0.4, -0.5, -0.6, -0.8, -1),
            draws=4,
        ),
        regions=Regions(4.0, np.asarray(labels, np.int32), 4),
        keywords=(
            KeywordAttack("say", becomes, SmallestPerturbation("pgd", "linf", 0.7, 16.0, changed)),
            KeywordAttack("lose", words[1], SmallestPerturbation("pgd", "linf", None, 16.0)),
        ),
        took_s=14.2,
        pictures={name: example_image(index) for index, name in enumerate(names)},
        magnified=75.0,
    )


def _word(
    index: int, text: str, becomes: str, epsilon: float | None, *, hardened: bool
) -> WordFindings:
    small = epsilon and epsilon * (1 + abs(index - 1))
    return WordFindings(
        text=text,
        index=index,
        is_object=index in (1, 3),
        smallest=SmallestPerturbation("pgd", "linf", small, 16.0),
        becomes=becomes if epsilon is not None else "",
        log_prob=-0.4,
        log_prob_attacked=-3.25,
        log_prob_noise=-0.5,
        log_prob_hardened=-0.6 if hardened else None,
        fragile=hardened and index == 1,
        regions=(0, 3) if index == 1 else (),
    )


def concept(
    word: str, number: int, evidence: Evidence, support: float = 0.5, shown: str = ""
) -> ConceptInFrame:
    """Return a concept that lies in the top left of the image."""
    values = np.zeros((9, 9), np.float32)
    values[:3, :3] = 1
    return ConceptInFrame(f"{word}-{number}", 2.3, support, Map(values), evidence, shown)


SUPPORTS = Evidence(0.93, 4.2, 0.0004, 140, "supports")
TOO_FEW = Evidence(None, None, None, 9, "not enough evidence")


def concepts(
    words: tuple[str, ...] = ("dog", "grass"), unknown: str = "zebra", each: int = 2
) -> ConceptFindings:
    """Return findings with `each` concepts of every word, and a word without any."""
    shown = {
        f"{word}-{n}": encode_webp(example_image(n, 96, 96))
        for word in words
        for n in range(1, each + 1)
    }
    known = tuple(
        WordConcepts(
            word,
            index,
            tuple(
                concept(word, n, SUPPORTS if n == 1 else TOO_FEW, 1 / n, f"{word}-{n}")
                for n in range(1, each + 1)
            ),
            "",
        )
        for index, word in enumerate(words)
    )
    none = WordConcepts(unknown, len(words), (), f"not enough scenes of {unknown}")
    parts = tuple(Component(Map(np.eye(9, dtype=np.float32)), 0.9, words[:1]) for _ in range(3))
    return ConceptFindings(
        scope="bank",
        frames=5400,
        scenes=2100,
        words=(*known, none),
        factors=Factors(parts, 0.83, " ".join(words), 0.89),
        took_s=3.1,
        false_positives=FalsePositives(0.05, 2000, 16000, 90, 96),
        notes=(f"{unknown} has too few scenes for a test.",),
        pictures=shown,
    )


def contents(image: NDArray[np.uint8] | None = None) -> Contents:
    """Return a caption with the map of one word, which holds up."""
    word = Word("dog", 0.8, (), confidence=0.9)
    found = Explanation(Target("word", 0), "dog", Map(np.eye(9, dtype=np.float32)))
    card = MethodCard("gradcam", "Grad-CAM", "A paper", "little", "logit", ("word",))
    return Contents(
        image=example_image() if image is None else image,
        card=ExampleCaptioner(),
        caption=caption(),
        words=(word,),
        tokens=(7, 2),
        methods=(MethodMaps(card, (found,), 1.0),),
        checks={0: Check(0.2, 0.8, 0.1, (0.6, 0.7, 0.8), 110, 144, 0.02, 1.0)},
        checked_by="gradcam",
        checks_ms=1.0,
    )


def example_page(
    attacked: AdversarialFindings | None = None,
    concept_findings: ConceptFindings | None = None,
    captioned: Caption | None = None,
    captioner: ExampleCaptioner | None = None,
    name: str = "dog.jpg",
    width: int = 451,
) -> Element:
    """Render a page with all sections, and parse it."""
    tile = Tile(example_image(width=width), "dog", "93%")
    document = Document(
        name,
        example_image(height=30, width=width),
        captioner or ExampleCaptioner(),
        captioned or caption(),
        attacked or adversarial(),
        concept_findings or concepts(),
        (PaintedMaps("Grad-CAM", ("A paper",), "logit", (tile,)),),
    )
    return read("".join(render_page(document)))
