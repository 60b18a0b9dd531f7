"""Sample findings of analyses, with everything that the page shows of them."""

import json
from typing import Any

import numpy as np

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
from inference.concepts.findings import (
    ConceptFindings,
    ConceptInFrame,
    Evidence,
    FalsePositives,
    Verdict,
    WordConcepts,
)
from inference.engine.service import AnalysisResult
from inference.report.page import concept_file
from inference.webp import encode_webp
from models.language import WordEdit
from tests.support.page.scripted_page import cell_map

REPORT = "A report with all its figures"
_HTML = f"<!doctype html><html lang=en><title>Report</title><h1>{REPORT}</h1></html>".encode()


def _smallest(epsilon: float | None) -> SmallestPerturbation:
    return SmallestPerturbation("pgd", "linf", epsilon, 16.0, "a cat sits" if epsilon else "")


def _word(text: str, index: int, *, fragile: bool) -> WordFindings:
    smallest = _smallest(1.5)
    return WordFindings(
        text, index, fragile, smallest, "cat", -0.1, -4.0, -0.2, -0.3, fragile, (2,)
    )


def attack_findings(*, hardened: bool = True) -> AdversarialFindings:
    """The dog of "a dog runs" becomes a cat; the hardened model keeps it."""
    attacked = AttackedCaption(
        attack="pgd",
        norm="linf",
        epsilon=1.5,
        clean="a dog runs",
        attacked="a cat runs fast",
        diff=(
            WordEdit("kept", "a", "a"),
            WordEdit("substituted", "dog", "cat"),
            WordEdit("kept", "runs", "runs"),
            WordEdit("inserted", "", "fast"),
        ),
        rounding=Rounding("a dog runs", False, 2),
    )
    compared = [ComparedCaption("plain", "a dog runs", "a cat runs fast", attacked.diff)]
    if hardened:
        kept = (
            WordEdit("kept", "a", "a"),
            WordEdit("kept", "dog", "dog"),
            WordEdit("deleted", "runs", ""),
        )
        lost = (*attacked.diff[:2], WordEdit("kept", "runs", "runs"))
        compared += [
            ComparedCaption("hardened", "a dog runs", "a dog", kept),
            ComparedCaption("control", "a dog runs", "a cat runs", lost),
        ]
    return AdversarialFindings(
        smallest=(_smallest(1.5),),
        words=tuple(
            _word(text, index, fragile=hardened and text == "dog")
            for index, text in enumerate(("a", "dog", "runs"))
        ),
        attacked=attacked,
        harmless=(HarmlessChange("shift by one pixel", "a dog runs", changed=False),),
        comparison=Comparison(0.5, tuple(compared), 0.1 if hardened else None, 100),
        curve=Curve("linf", "pgd", (), (), (), (), (), (), 4),
        regions=Regions(4.0, np.zeros((8, 8), np.int32), 1),
        keywords=(
            KeywordAttack("say", "cat", _smallest(1.5)),
            KeywordAttack("lose", "dog", _smallest(None)),
        ),
        took_s=1.0,
    )


def _concept(number: int, verdict: Verdict, support: float) -> ConceptInFrame:
    if verdict == "not enough evidence":
        evidence = Evidence(None, None, None, 6, verdict)
    else:
        evidence = Evidence(0.83, 3.1, 0.002, 54, verdict)
    picture = "dog-1" if number == 1 else ""
    return ConceptInFrame(
        f"dog-{number}", 2.4, support, cell_map(number, number), evidence, picture
    )


def concept_findings() -> ConceptFindings:
    """The dog has a concept of each verdict; of running nothing is known."""
    concepts = (
        _concept(1, "supports", 0.82),
        _concept(2, "opposes", -0.31),
        _concept(3, "not enough evidence", 0.0),
    )
    words = (
        WordConcepts("dog", 1, concepts, ""),
        WordConcepts("runs", 2, (), "The bank knows no “runs”."),
    )
    return ConceptFindings(
        scope="bank",
        frames=100,
        scenes=54,
        words=words,
        factors=None,
        took_s=1.0,
        false_positives=FalsePositives(0.05, 2000, 16000, 90, 96),
        notes=("6 scenes are too few for a test.",),
        pictures={"dog-1": encode_webp(np.full((16, 24, 3), 90, np.uint8))},
    )


def analysis_result(
    findings: AdversarialFindings | ConceptFindings, *summary: str
) -> AnalysisResult:
    """Return the engine's result for findings."""
    is_attack = isinstance(findings, AdversarialFindings)
    report: dict[str, Any] = {
        "image": {"file": "", "width": 260, "height": 260},
        "adversarial": findings.to_json() if is_attack else None,
        "ace": None if is_attack else findings.to_json(),
    }
    files = {"report.html": _HTML, "report.json": json.dumps(report).encode()}
    if isinstance(findings, ConceptFindings):
        files |= {concept_file(name): each for name, each in findings.pictures.items()}
    return AnalysisResult(files, summary, 1.0)
