"""What an analysis of concepts found, in a few sentences."""

from inference.concepts import ConceptFindings, ConceptInFrame, Factors, WordConcepts
from inference.report.wording import counted, listed, quoted, share, signed

_PRESENT = 1.0
"""Standard deviations above the mean from which a concept is said to be in the picture."""


def concepts_summary(findings: ConceptFindings) -> list[str]:
    """Tell what spoke for the words, what the test says of it, and what the grid is made of.

    Returns:
        2 to 4 sentences.
    """
    known = [word for word in findings.words if word.concepts]
    sentences = [_support(known) if known else _none(findings), _tested(known)]
    missing = [word for word in findings.words if not word.concepts]
    if known and missing:
        names = listed([quoted(word.text) for word in missing])
        sentences.append(f"No concepts are known of {names}.")
    sentences.append(_parts(findings.factors) if findings.factors else "")
    told = [sentence for sentence in sentences if sentence]
    return told if len(told) > 1 else [*told, _where(findings)]


def _support(known: list[WordConcepts]) -> str:
    def best(word: WordConcepts) -> ConceptInFrame:
        return max(word.concepts, key=lambda each: each.support)

    word = max(known, key=lambda each: best(each).support)
    most = best(word)
    if most.support <= 0:
        return "No concept that is known of its words speaks for any of them here."
    present = sum(each.presence >= _PRESENT for each in word.concepts)
    return (
        f"Concept {most.id} speaks most for {quoted(word.text)} here: it adds "
        f"{signed(most.support)} to its logit; of {len(word.concepts)} that are known of the word, "
        f"{_number(present)} {'is' if present <= 1 else 'are'} clearly in the picture."
    )


def _none(findings: ConceptFindings) -> str:
    if not findings.words:
        return "The caption has no content word of which concepts could be known."
    names = listed([quoted(word.text) for word in findings.words])
    return f"No concepts are known of {names}."


def _tested(known: list[WordConcepts]) -> str:
    tested = [each.evidence for word in known for each in word.concepts]
    if not tested:
        return ""
    matter = sum(each.verdict in ("supports", "opposes") for each in tested)
    unknown = sum(each.verdict == "not enough evidence" for each in tested)
    if unknown == len(tested):
        return "There is not enough evidence to tell whether any of them matters beyond chance."
    lacking = f"; for {unknown} there is not enough evidence" if unknown else ""
    they = "matters for its word" if matter <= 1 else "matter for their words"
    return (
        f"Over many scenes, {_number(matter)} of {counted(len(tested), 'concept', 'concepts')} "
        f"{they} beyond chance{lacking}."
    )


def _parts(factors: Factors) -> str:
    count = counted(len(factors.components), "part makes", "parts make")
    return (
        f"{count[0].upper()}{count[1:]} up {share(factors.explained)} of what the decoder looks "
        f"at; from them alone it says {share(factors.agreement)} of the words of the caption again."
    )


def _where(findings: ConceptFindings) -> str:
    sought = counted(findings.frames, "picture", "pictures")
    scenes = counted(findings.scenes, "scene", "scenes")
    return f"Concepts were sought in {sought} of {scenes}."


def _number(number: int) -> str:
    return {0: "none", 1: "one"}.get(number, str(number))
