from dataclasses import replace

import numpy as np
import pytest

from inference.concepts.verdicts import (
    TcavFigures,
    add_false_positives,
    count_false_positives,
    verdicts,
)
from inference.significance import holm

FIGURES = TcavFigures(tcav=0.9, effect=4.0, p=0.0001, scenes=40)


def test_fewer_than_40_scenes_are_not_enough_evidence() -> None:
    few, enough = verdicts([replace(FIGURES, scenes=39), FIGURES])

    assert (few.verdict, few.p, few.scenes) == ("not enough evidence", None, 39)
    assert (enough.verdict, enough.p) == ("supports", 0.0001)


def test_verdicts_are_corrected_for_the_tests_of_the_word() -> None:
    tests = [replace(FIGURES, p=0.02), replace(FIGURES, p=0.03, effect=-4.0)]

    assert [each.verdict for each in verdicts(tests)] == ["supports", "opposes"]
    assert [each.p for each in verdicts(tests)] == pytest.approx([0.04, 0.04])
    assert {each.verdict for each in verdicts([*tests, replace(FIGURES, p=0.9)])} == {"not shown"}
    no_tests = [replace(FIGURES, scenes=39)] * 20
    assert [each.p for each in verdicts([*no_tests, *tests])][20:] == pytest.approx([0.04, 0.04])


def test_false_positives_are_random_concepts_that_holm_would_keep() -> None:
    p = np.random.default_rng(0).random((300, 5)) ** 3

    found = count_false_positives(p.tolist())

    judged = np.array([[each < 0.05 for each in holm(run)] for run in p])
    assert found is not None
    assert (found.runs, found.concepts) == (300, 1500)
    assert found.false_concepts == judged.sum() > found.false_runs
    assert found.false_runs == judged.any(axis=1).sum()
    assert f"{judged.mean():.1%} were judged to matter" in found.text()
    assert f"{judged.any(axis=1).mean():.1%} of 300 tests of a word (5% allowed)" in found.text()
    both = add_false_positives([found, None, found])
    assert both
    assert (both.runs, both.concepts) == (600, 3000)
    assert (both.false_runs, both.false_concepts) == (
        2 * found.false_runs, 2 * found.false_concepts,
    )  # fmt: skip


def test_without_tests_there_is_no_rate() -> None:
    assert count_false_positives([]) is None
    assert count_false_positives([[], []]) is None
    assert add_false_positives([None]) is None
