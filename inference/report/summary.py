"""Findings of an analysis in a few sentences, the most important first."""

from inference.adversarial import (
    AdversarialFindings,
    Comparison,
    Curve,
    KeywordAttack,
    SmallestPerturbation,
    WordFindings,
)
from inference.concepts import ConceptFindings, Factors, WordConcepts
from inference.report.formatting import (
    attack_name,
    capitalized,
    counted,
    epsilon_text,
    listed,
    number,
    percent,
    quoted,
)

INVISIBLE = 2.0
"""Grey levels: on a usual screen, no smaller change of a pixel can be seen."""
HARDLY_VISIBLE = 8.0
"""Customary limit of perturbations that are called imperceptible, 8/255."""

_MOST_SENTENCES = 4
_PRESENT = 1.0
"""Standard deviations above the mean from which a concept counts as present in the image."""
_NOT_FRAGILE = "No word is kept under attack by the hardened model alone."
_MOST_CHANCE = 0.5
"""Share of the words called fragile that may be so by chance before they are not called so."""
_UNTESTED = "There is not enough evidence to say whether any of them matters beyond chance."


def summarize(findings: AdversarialFindings | ConceptFindings) -> list[str]:
    """Summarize findings in 2 to 4 sentences of plain text.

    The sentences contain words of the captioner's vocabulary: escape them for HTML.
    """
    if isinstance(findings, AdversarialFindings):
        return _adversarial(findings)
    return _concepts(findings)


def _adversarial(findings: AdversarialFindings) -> list[str]:
    fragile = [word for word in findings.words if word.fragile]
    hardened = findings.comparison.has_hardened
    sentences = [
        _smallest(findings),
        _weakest_word(findings.words),
        _fragile(fragile, findings.comparison) if fragile else "",
        _keywords(findings.keywords),
        _noise(findings.curve),
        _NOT_FRAGILE if hardened and not fragile else "",
    ]
    return [sentence for sentence in sentences if sentence][:_MOST_SENTENCES]


def _smallest(findings: AdversarialFindings) -> str:
    if not findings.smallest:
        return "The caption as a whole was not attacked."
    first = findings.smallest[0]
    if first.epsilon is None:
        return (
            f"{attack_name(first.attack)} found no change of up to "
            f"{epsilon_text(first.largest, first.norm)} that changes the caption."
        )
    visibility = f", {_visibility(first.epsilon)}," if first.norm == "linf" else ""
    effect = (
        f"changes the caption to {quoted(first.caption)}"
        if first.caption
        else "leaves the caption without words"
    )
    return f"A change of at most {epsilon_text(first.epsilon, first.norm)}{visibility} {effect}."


def _visibility(epsilon: float) -> str:
    """Describe how visible a change is; only for L-inf, as L2 says nothing about single pixels."""
    if epsilon <= INVISIBLE:
        return "invisible to the eye"
    return "hard to see" if epsilon <= HARDLY_VISIBLE else "visible to the eye"


def _easiest(word: WordFindings) -> SmallestPerturbation | None:
    """Return the smallest perturbation that changes a word, if any was found."""
    return None if word.smallest.epsilon is None else word.smallest


def _weakest_word(words: tuple[WordFindings, ...]) -> str:
    attacked = [word for word in words if word.is_object] or list(words)
    found = [(each, word) for word in attacked if (each := _easiest(word)) is not None]
    if not attacked:
        return "The caption has no words to attack one by one."
    if not found:
        return "No attack that was tried changed a word."
    smallest, weakest = min(found, key=lambda pair: pair[0].epsilon or 0.0)
    if not smallest.epsilon:
        other = quoted(weakest.becomes) if weakest.becomes else "the end of the caption"
        return (
            f"{quoted(weakest.text)} needs no attack: {other} is already more likely in its place."
        )
    # A word that becomes no other word is where the caption ends.
    becomes = f"becomes {quoted(weakest.becomes)}" if weakest.becomes else "is left out"
    change = f"{becomes} at {epsilon_text(smallest.epsilon, smallest.norm)}"
    kind = "object" if weakest.is_object else "word"
    if len(attacked) == 1:
        return f"The only {kind}, {quoted(weakest.text)}, {change}."
    firm = [word for word in attacked if _easiest(word) is None]
    unchanged = f"; no attack that was tried changed {_words(firm)}" if 0 < len(firm) <= 3 else ""
    return f"Of the {kind}s, {quoted(weakest.text)} changes first: it {change}{unchanged}."


def _fragile(fragile: list[WordFindings], comparison: Comparison) -> str:
    words, them = _words(fragile), "it" if len(fragile) == 1 else "them"
    attack = f"under an attack of {epsilon_text(comparison.epsilon, 'linf')}"
    chance = comparison.by_chance
    if chance is None or chance > _MOST_CHANCE:
        return f"The models disagree about {words}: {attack}, only the hardened one keeps {them}."
    rests = "rests" if len(fragile) == 1 else "rest"
    return (
        f"{words} {rests} on fragile features: {attack}, the captioner and the control lose {them} "
        f"and the hardened model keeps {them}."
    )


def _keywords(keywords: tuple[KeywordAttack, ...]) -> str:
    parts: list[str] = []
    for each in keywords:
        effect = f"make it {'say' if each.aim == 'say' else 'drop'} {quoted(each.word)}"
        found = each.smallest
        if found.epsilon is None:
            size = epsilon_text(found.largest, found.norm)
            parts.append(f"no change of up to {size} was found to {effect}")
        else:
            parts.append(f"{epsilon_text(found.epsilon, found.norm)} are enough to {effect}")
    return f"{capitalized('; '.join(parts))}." if parts else ""


def _noise(curve: Curve) -> str:
    if not curve.epsilons:
        return ""
    for epsilon, changed in zip(curve.epsilons, curve.noise_changed_most, strict=True):
        if changed > 0:
            return f"Random noise first changes the caption at {epsilon_text(epsilon, curve.norm)}."
    largest = epsilon_text(curve.epsilons[-1], curve.norm)
    return f"Random noise of up to {largest} did not change the caption in any draw."


def _words(words: list[WordFindings]) -> str:
    return listed([quoted(text) for text in dict.fromkeys(word.text for word in words)])


def _concepts(findings: ConceptFindings) -> list[str]:
    known = [word for word in findings.words if word.concepts]
    missing = [word for word in findings.words if not word.concepts]
    sentences = [
        _strongest(known) if known else _none_known(findings),
        _evidence(known),
        _none_known_for(missing) if known and missing else "",
        _factors(findings.factors) if findings.factors else "",
    ]
    found = [sentence for sentence in sentences if sentence]
    return found if len(found) > 1 else [*found, _searched(findings)]


def _strongest(known: list[WordConcepts]) -> str:
    supporting = [
        (concept, word)
        for word in known
        for concept in word.concepts
        if concept.evidence.verdict == "supports" and concept.support > 0
    ]
    if not supporting:
        return "No concept was shown to support a word of the caption here."
    strongest, word = max(supporting, key=lambda pair: pair[0].support)
    count, present = len(word.concepts), sum(each.presence >= _PRESENT for each in word.concepts)
    found = f"{present or 'none'} of its {count} known concepts {'is' if present < 2 else 'are'}"
    if count == 1:
        found = "its only known concept is" if present else "its only known concept is not"
    return (
        f"Of the known concepts, {strongest.id} supports a word most: it adds "
        f"{number(strongest.support)} to the logit of {quoted(word.text)}; {found} clearly present "
        "in the image."
    )


def _none_known(findings: ConceptFindings) -> str:
    if not findings.words:
        return "The caption has no content word that could have concepts."
    return _none_known_for(list(findings.words))


def _none_known_for(words: list[WordConcepts]) -> str:
    return f"No concepts are known for {listed([quoted(word.text) for word in words])}."


def _evidence(known: list[WordConcepts]) -> str:
    verdicts = [each.evidence.verdict for word in known for each in word.concepts]
    if not verdicts:
        return ""
    unknown = verdicts.count("not enough evidence")
    if unknown == len(verdicts):
        return _UNTESTED
    matter = sum(each.evidence.matters for word in known for each in word.concepts)
    if len(verdicts) == 1:
        found = "the concept was" if matter else "the concept was not"
    else:
        concepts = counted(len(verdicts), "concept", "concepts")
        found = f"{matter or 'none'} of {concepts} {'were' if matter > 1 else 'was'}"
    word = "their words" if matter > 1 else "its word"
    lacking = f"; for {unknown}, there is not enough evidence" if unknown else ""
    return f"In tests over many scenes, {found} shown to matter for {word}{lacking}."


def _factors(factors: Factors) -> str:
    components = counted(len(factors.components), "component accounts", "components account")
    return (
        f"{capitalized(components)} for {percent(factors.explained)} of what the decoder sees of "
        f"the image. From these alone, it repeats {percent(factors.agreement)} of the words of the "
        "caption."
    )


def _searched(findings: ConceptFindings) -> str:
    images = counted(findings.frames, "image", "images")
    return f"Searched for concepts: {images} of {counted(findings.scenes, 'scene', 'scenes')}."
