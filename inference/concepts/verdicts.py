"""Which concepts matter for their word: verdicts on its tests, and how often they are false.

Each concept is presented on its own as one that a word depends on, so the probability that any of a
word's concepts is wrong is limited to `SIGNIFICANCE_LEVEL`. Holm's correction ensures this for any
dependence between the tests, which share their scenes and patches. To measure it, the tests are
repeated with random concepts in place of the concepts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from inference.concepts.findings import MIN_SCENES, Evidence, FalsePositives, Verdict
from inference.significance import SIGNIFICANCE_LEVEL, holm


@dataclass(frozen=True, slots=True)
class TcavFigures:
    """Figures of the test of one concept and one word, before any correction."""

    tcav: float
    """See `Evidence`."""
    effect: float
    """See `Evidence`."""
    p: float
    """Two-sided, not corrected."""
    scenes: int


def verdicts(tests: Sequence[TcavFigures]) -> list[Evidence]:
    """Judge all tests of a word, corrected for their number.

    With too few scenes they do not count as tests.
    """
    enough = [each.scenes >= MIN_SCENES for each in tests]
    corrected = iter(holm([each.p for each, is_test in zip(tests, enough, strict=True) if is_test]))
    return [
        _evidence(each, next(corrected) if is_test else None)
        for each, is_test in zip(tests, enough, strict=True)
    ]


def is_significant(p: float) -> bool:
    """Return whether a corrected p-value shows an effect."""
    return p < SIGNIFICANCE_LEVEL


def count_false_positives(runs: Sequence[Sequence[float]]) -> FalsePositives | None:
    """Count the random concepts that are judged to matter.

    Args:
        runs: p-values, not corrected, of the random concepts of each run.

    Returns:
        None if nothing was tested.
    """
    false = [sum(map(is_significant, holm(p))) for p in runs]
    concepts = sum(map(len, runs))
    if not concepts:
        return None
    with_any = sum(each > 0 for each in false)
    return FalsePositives(SIGNIFICANCE_LEVEL, len(runs), concepts, with_any, sum(false))


def add_false_positives(words: Iterable[FalsePositives | None]) -> FalsePositives | None:
    """Add the counts of several words; None if nothing was tested for any."""
    tested = [each for each in words if each]
    if not tested:
        return None
    return FalsePositives(
        level=SIGNIFICANCE_LEVEL,
        runs=sum(each.runs for each in tested),
        concepts=sum(each.concepts for each in tested),
        false_runs=sum(each.false_runs for each in tested),
        false_concepts=sum(each.false_concepts for each in tested),
    )


def _evidence(test: TcavFigures, p: float | None) -> Evidence:
    verdict: Verdict = "not shown"
    if p is None:
        verdict = "not enough evidence"
    elif is_significant(p):
        verdict = "supports" if test.effect > 0 else "opposes"
    return Evidence(test.tcav, test.effect, p, test.scenes, verdict)
