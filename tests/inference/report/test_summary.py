from dataclasses import replace

import pytest

from inference.adversarial import AdversarialFindings, Curve, SmallestPerturbation
from inference.concepts import ConceptFindings, WordConcepts
from inference.concepts.findings import Evidence
from inference.report import summarize
from tests.inference.report.examples import TOO_FEW, adversarial, concept, concepts


def _without_curve(findings: AdversarialFindings) -> AdversarialFindings:
    return replace(findings, curve=Curve("linf", "pgd", (), (), (), (), (), (), 0))


@pytest.mark.parametrize(
    "findings",
    [
        adversarial(),
        adversarial(hardened=False),
        adversarial(epsilon=None),
        adversarial(becomes=""),
        replace(adversarial(), words=()),
        _without_curve(replace(adversarial(hardened=False), keywords=())),
        concepts(),
        concepts(each=1),
        replace(concepts(), words=(), factors=None),
        replace(concepts(), factors=None, words=concepts().words[-1:]),
        replace(concepts(), factors=None, words=concepts().words[:1]),
    ],
)
def test_a_summary_is_a_few_sentences(findings: AdversarialFindings | ConceptFindings) -> None:
    sentences = summarize(findings)

    assert 2 <= len(sentences) <= 4
    assert all(sentence.endswith(".") and ".." not in sentence for sentence in sentences)
    assert all("None" not in sentence and "  " not in sentence for sentence in sentences)


def test_the_smallest_change_comes_first() -> None:
    assert summarize(adversarial(epsilon=0.4)) == [
        "A change of at most 0.4 grey levels per pixel, invisible to the eye, changes the caption "
        "to “a cat on grass”.",
        "Of the objects, “dog” changes first: it becomes “cat” at 0.4 grey levels per pixel.",
        "“dog” rests on fragile features: under an attack of 0.5 grey levels per pixel, the "
        "captioner and the control lose it and the hardened model keeps it.",
        "0.7 grey levels per pixel are enough to make it say “cat”; no change of up to 16 grey "
        "levels per pixel was found to make it drop “dog”.",
    ]


@pytest.mark.parametrize("chance", [None, 0.7])
def test_words_that_may_be_chance_are_not_called_fragile(chance: float | None) -> None:
    sentences = summarize(adversarial(chance=chance))

    assert (
        "The models disagree about “dog”: under an attack of 0.5 grey levels per pixel, only the "
        "hardened one keeps it." in sentences
    )


def test_a_word_that_was_not_the_most_likely_needs_no_attack() -> None:
    findings = adversarial(epsilon=0.4)
    words = [replace(word, smallest=replace(word.smallest, epsilon=0.0)) for word in findings.words]

    sentences = summarize(replace(findings, words=tuple(words)))

    assert "“dog” needs no attack: “cat” is already more likely in its place." in sentences


@pytest.mark.parametrize(
    ("epsilon", "expected"),
    [
        (2.0, "2 grey levels per pixel, invisible to the eye, changes"),
        (5.0, "5 grey levels per pixel, hard to see, changes"),
        (12.0, "12 grey levels per pixel, visible to the eye, changes"),
        (None, "PGD found no change of up to 16 grey levels per pixel that changes the caption."),
    ],
)
def test_the_visibility_of_a_change_depends_on_its_size(
    epsilon: float | None, expected: str
) -> None:
    assert expected in summarize(adversarial(epsilon=epsilon))[0]


def test_the_visibility_of_a_change_in_l2_is_unknown() -> None:
    smallest = (SmallestPerturbation("pgd", "l2", 61.0, 7205.0, "a cat"),)

    first = summarize(replace(adversarial(), smallest=smallest))[0]

    assert first == "A change of at most 61 grey levels in L2 changes the caption to “a cat”."


def test_noise_is_mentioned_if_there_is_room() -> None:
    findings = replace(adversarial(hardened=False), keywords=())

    assert summarize(findings)[2] == (
        "Random noise first changes the caption at 4 grey levels per pixel."
    )


def test_noise_that_changed_nothing_is_reported_as_draws() -> None:
    findings = replace(adversarial(hardened=False), keywords=())
    curve = replace(findings.curve, noise_changed_most=(0.0,) * len(findings.curve.epsilons))

    assert summarize(replace(findings, curve=curve))[2].endswith(
        "grey levels per pixel did not change the caption in any draw."
    )


def test_the_concept_with_the_most_support_comes_first() -> None:
    first, second, third, fourth = summarize(concepts())

    assert first == (
        "Of the known concepts, dog-1 supports a word most: it adds 1 to the logit of “dog”; 2 of "
        "its 2 known concepts are clearly present in the image."
    )
    assert second == (
        "In tests over many scenes, 2 of 4 concepts were shown to matter for their words; for 2, "
        "there is not enough evidence."
    )
    assert third == "No concepts are known for “zebra”."
    assert fourth.startswith("3 components account for 83% of what the decoder sees")


def test_only_concepts_that_were_shown_to_support_a_word_are_named() -> None:
    not_shown = Evidence(0.9, 1.2, 0.4, 60, "not shown")
    word = WordConcepts("dog", 1, (concept("dog", 1, not_shown),), "")

    assert summarize(replace(concepts(), words=(word,)))[:2] == [
        "No concept was shown to support a word of the caption here.",
        "In tests over many scenes, the concept was not shown to matter for its word.",
    ]


def test_a_single_concept_reads_as_one() -> None:
    assert summarize(concepts(("dog",), each=1))[0].endswith(
        "; its only known concept is clearly present in the image."
    )


def test_too_little_evidence_is_not_no_effect() -> None:
    word = WordConcepts("dog", 1, (concept("dog", 1, TOO_FEW),), "")

    assert summarize(replace(concepts(), words=(word,)))[1] == (
        "There is not enough evidence to say whether any of them matters beyond chance."
    )
