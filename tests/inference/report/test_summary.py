from dataclasses import replace

import pytest

from inference.adversarial.findings import AdversarialFindings, Curve, Smallest
from inference.concepts.findings import ConceptFindings, WordConcepts
from inference.report.summary import summary
from tests.inference.report.made_up import TOO_FEW, adversarial, concept, concepts


def _unsettled(findings: AdversarialFindings) -> AdversarialFindings:
    return replace(findings, curve=Curve("linf", "pgd", (), (), (), (), (), (), 0))


@pytest.mark.parametrize(
    "findings",
    [
        adversarial(),
        adversarial(hardened=False),
        adversarial(epsilon=None),
        adversarial(becomes=""),
        replace(adversarial(), words=()),
        _unsettled(replace(adversarial(hardened=False), keywords=())),
        concepts(),
        replace(concepts(), words=(), factors=None),
        replace(concepts(), factors=None, words=concepts().words[-1:]),
        replace(concepts(), factors=None, words=concepts().words[:1]),
    ],
)
def test_a_summary_is_a_few_sentences(findings: AdversarialFindings | ConceptFindings) -> None:
    told = summary(findings)

    assert 2 <= len(told) <= 4
    assert all(sentence.endswith(".") and ".." not in sentence for sentence in told)
    assert all("None" not in sentence and "  " not in sentence for sentence in told)


def test_how_little_fools_it_is_said_first() -> None:
    told = summary(adversarial(epsilon=0.4))

    assert told == [
        "A change of at most 0.4 grey levels a pixel, which nobody sees, makes it say “a cat on "
        "grass”.",
        "Of its objects, “dog” gives way first: it becomes “cat” at 0.4 grey levels a pixel.",
        "“dog” rests on fragile features: attacked, the decoder loses it, and the hardened one "
        "keeps it.",
        "0.7 grey levels a pixel are enough to make it say “cat”; nothing up to 16 grey levels a "
        "pixel makes it lose “dog”.",
    ]


def test_a_word_that_was_not_the_likeliest_is_not_said_to_be_attacked() -> None:
    made = adversarial(epsilon=0.4)
    words = [
        replace(word, smallest=tuple(replace(each, epsilon=0.0) for each in word.smallest))
        for word in made.words
    ]

    told = summary(replace(made, words=tuple(words)))

    assert "“dog” needs no attack: “cat” is likelier in its place already." in told


@pytest.mark.parametrize(
    ("epsilon", "told"),
    [
        (2.0, "2 grey levels a pixel, which nobody sees, makes"),
        (5.0, "5 grey levels a pixel, which is hard to see, makes"),
        (12.0, "12 grey levels a pixel, which can be seen, makes"),
        (None, "No change of up to 16 grey levels a pixel that PGD tried changes the caption."),
    ],
)
def test_whether_a_change_is_seen_goes_by_its_size(epsilon: float | None, told: str) -> None:
    assert told in summary(adversarial(epsilon=epsilon))[0]


def test_a_size_in_l2_says_so_and_not_whether_it_is_seen() -> None:
    smallest = (Smallest("pgd", "l2", 61.0, 7205.0, "a cat"),)

    first = summary(replace(adversarial(), smallest=smallest))[0]

    assert first == "A change of at most 61 grey levels in L2 makes it say “a cat”."


def test_noise_is_told_where_there_is_room() -> None:
    findings = replace(adversarial(hardened=False), keywords=())

    assert (
        summary(findings)[2] == "Random noise first changes the caption at 4 grey levels a pixel."
    )


def test_the_concept_that_speaks_most_is_said_first() -> None:
    told = summary(concepts())

    assert told[0] == (
        "Concept dog-1 speaks most for “dog” here: it adds +1 to its logit; of 2 that are known of "
        "the word, 2 are clearly in the picture."
    )
    assert told[1] == (
        "Over many scenes, 2 of 4 concepts matter for their words beyond chance; for 2 there is "
        "not enough evidence."
    )
    assert told[2] == "No concepts are known of “zebra”."
    assert told[3].startswith("3 parts make up 83% of what the decoder looks at")


def test_too_little_evidence_is_not_no_effect() -> None:
    word = WordConcepts("dog", 1, (concept("dog", 1, TOO_FEW),), "")

    told = summary(replace(concepts(), words=(word,)))

    assert told[1] == (
        "There is not enough evidence to tell whether any of them matters beyond chance."
    )
