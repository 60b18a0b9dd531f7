"""Attacks that make the captioner say a word, or lose one (Chen et al., ACL 2018)."""

from collections.abc import Generator, Sequence
from typing import Literal, NamedTuple

import numpy as np

from inference.adversarial.aims import Aim, LoseWord, SayWord, token_of
from inference.adversarial.attack import Attack, Found
from inference.adversarial.findings import Keyword
from inference.adversarial.params import AdversarialParams
from inference.adversarial.word_attacks import is_object
from inference.explanations.subject import Subject


class KeywordAim(NamedTuple):
    """What is to happen to a word."""

    kind: Literal["say", "lose"]
    word: str
    aim: Aim


def keyword_aims(subject: Subject, params: AdversarialParams) -> list[KeywordAim]:
    """Resolve the words that are asked for; the surest object word is to be lost if none is.

    Raises:
        ValueError: If the captioner does not know a word, says the one already or does not say
            the other.
    """
    aims: list[KeywordAim] = []
    lose, say = (word.strip().lower() for word in (params.lose, params.say))
    lose = lose or _surest_object(subject)
    if lose:
        aims.append(KeywordAim("lose", lose, LoseWord(subject, lose)))
    if say:
        aims.append(KeywordAim("say", say, SayWord(subject, say)))
    return aims


def attack_keyword(
    subject: Subject,
    keyword: KeywordAim,
    params: AdversarialParams,
    others: Sequence[Found],
) -> Generator[None, None, Keyword]:
    """Search for the smallest perturbation that reaches it, by one step and then by several.

    Args:
        subject: The picture and its caption.
        keyword: What is to happen.
        params: How far to go.
        others: What other attacks found in the same norm, which may do that too.

    Yields:
        Between passes.
    """
    attack = Attack(subject, keyword.aim, params.epsilon_most)
    token = token_of(keyword.word, subject.model.captioner.vocabulary)
    known = [each for each in others if (token in each.tokens) == (keyword.kind == "say")]
    if not known:
        one_step = yield from attack.fgsm(params.norm)
        known = [one_step] if one_step else []
    nearest = min(known, key=lambda each: each.epsilon, default=None)
    found = yield from attack.pgd(params.norm, params.steps, nearest)
    said = subject.model.text(np.array(found.tokens, np.int32)) if found else ""
    smallest = attack.told("pgd", params.norm, found, said)
    return Keyword(keyword.kind, keyword.word, smallest)


def _surest_object(subject: Subject) -> str:
    names = subject.model.captioner.vocabulary.words
    said = zip(subject.words, subject.told.log_probs[: len(subject.words)], strict=True)
    likely = [(float(log_prob), names[word]) for word, log_prob in said if is_object(names[word])]
    return max(likely, default=(0.0, ""))[1]
