"""What an adversarial analysis found, in a few sentences."""

from inference.adversarial import AdversarialFindings, Curve, Keyword, Smallest, WordFindings
from inference.report.wording import (
    HARDLY_SEEN,
    UNSEEN,
    amount,
    attack_name,
    listed,
    quoted,
)

_MOST = 4
_NOT_FRAGILE = "No word of it rests on fragile features, going by the hardened decoder."


def adversarial_summary(findings: AdversarialFindings) -> list[str]:
    """Tell how little changes the caption, which word gives way first, and what that rests on.

    Returns:
        2 to 4 sentences.
    """
    fragile = any(word.fragile for word in findings.words)
    sentences = [
        headline(findings),
        _weakest(findings.words),
        _fragile(findings.words) if fragile else "",
        _keywords(findings.keywords),
        _noise(findings.curve),
        _NOT_FRAGILE if findings.attacked.hardened is not None and not fragile else "",
    ]
    return [sentence for sentence in sentences if sentence][:_MOST]


def headline(findings: AdversarialFindings) -> str:
    """Tell the smallest change that was found to change the caption, and to what."""
    if not findings.smallest:
        return "The caption was not attacked as a whole."
    first = findings.smallest[0]
    if first.epsilon is None:
        return (
            f"No change of up to {amount(first.largest, first.norm)} that "
            f"{attack_name(first.attack)} tried changes the caption."
        )
    seen = f", {visibility(first)}," if visibility(first) else ""
    return f"A change of at most {amount(first.epsilon, first.norm)}{seen} {_makes_it(first)}."


def visibility(smallest: Smallest) -> str:
    """Tell who sees a change of that size; empty in L2, which does not tell how it is spread."""
    if smallest.norm != "linf" or smallest.epsilon is None:
        return ""
    if smallest.epsilon <= UNSEEN:
        return "which nobody sees"
    return "which is hard to see" if smallest.epsilon <= HARDLY_SEEN else "which can be seen"


def _makes_it(smallest: Smallest) -> str:
    if smallest.caption:
        return f"makes it say {quoted(smallest.caption)}"
    return "leaves it without words"


def easiest(word: WordFindings) -> Smallest | None:
    """Tell the smallest perturbation found to flip a word, in L-infinity if in both norms."""
    found = [each for each in word.smallest if each.epsilon is not None]
    found = [each for each in found if each.norm == "linf"] or found
    return min(found, key=lambda each: each.epsilon or 0.0) if found else None


def _weakest(words: tuple[WordFindings, ...]) -> str:
    objects = [word for word in words if word.is_object] or list(words)
    found = [(each, word) for word in objects if (each := easiest(word)) is not None]
    if not objects:
        return "It has no words of its own to attack."
    if not found:
        return "No word of it could be turned into another."
    first, weakest = min(found, key=lambda pair: (pair[0].norm != "linf", pair[0].epsilon))
    if not first.epsilon:
        instead = quoted(weakest.becomes) if weakest.becomes else "the end"
        return (
            f"{quoted(weakest.text)} needs no attack: {instead} is likelier in its place already."
        )
    size = amount(first.epsilon, first.norm)
    # If it becomes no word, the caption ends there.
    becomes = f"becomes {quoted(weakest.becomes)}" if weakest.becomes else "is left out"
    stays = [word for word in objects if easiest(word) is None]
    firm = f"; {_words(stays)} could not be turned" if 0 < len(stays) <= 3 else ""
    among = "Of its objects" if weakest.is_object else "Of its words"
    one = len(objects) == 1
    which = f"{quoted(weakest.text)} {'' if one else 'gives way first: it '}{becomes}"
    return f"{'Its object' if one and weakest.is_object else among + ','} {which} at {size}{firm}."


def _fragile(words: tuple[WordFindings, ...]) -> str:
    fragile = [word for word in words if word.fragile]
    rests = "rests" if len(fragile) == 1 else "rest"
    them = "it" if len(fragile) == 1 else "them"
    return (
        f"{_words(fragile)} {rests} on fragile features: attacked, the decoder loses {them}, and "
        f"the hardened one keeps {them}."
    )


def _noise(curve: Curve) -> str:
    """Tell the control: what random noise of such sizes does."""
    if not curve.epsilons:
        return ""
    norm = curve.norm
    for epsilon, changed in zip(curve.epsilons, curve.noise_changed_most, strict=True):
        if changed > 0:
            return f"Random noise first changes the caption at {amount(epsilon, norm)}."
    return f"Random noise of up to {amount(curve.epsilons[-1], norm)} does not change the caption."


def _keywords(keywords: tuple[Keyword, ...]) -> str:
    parts: list[str] = []
    for each in keywords:
        aim = f"{each.aim} {quoted(each.word)}"
        found = each.smallest
        if found.epsilon is None:
            parts.append(f"nothing up to {amount(found.largest, found.norm)} makes it {aim}")
        else:
            parts.append(f"{amount(found.epsilon, found.norm)} are enough to make it {aim}")
    if not parts:
        return ""
    sentence = "; ".join(parts)
    return f"{sentence[0].upper()}{sentence[1:]}."


def _words(words: list[WordFindings]) -> str:
    return listed([quoted(text) for text in dict.fromkeys(word.text for word in words)])
