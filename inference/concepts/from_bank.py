"""The concepts of a caption's words, from the bank of the captioner."""

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from inference.concepts.bank import Bank, BankError, decoded_picture, read_bank
from inference.concepts.cavs import Cavs
from inference.concepts.findings import Evidence, WordConcepts
from inference.concepts.params import ConceptParams
from inference.concepts.scoring import Scores, score
from inference.concepts.sought import Asked, Known, Sought, gradient, in_frame
from inference.concepts.statistics import Tested, verdicts
from inference.explanations.subject import Subject
from inference.step import Step


def from_bank(
    subject: Subject, words: Sequence[Asked], params: ConceptParams
) -> Generator[Step, None, Sought]:
    """Hold a picture against the concepts of words.

    Yields:
        How far it is, after every word.
    """
    yield Step(0.0, "Opening the concept bank")
    try:
        bank = read_bank(subject.model.folder)
    except BankError as problem:
        why = str(problem)
        return Sought(tuple(word.without(why) for word in words), notes=(why,))
    places = bank.of([word.text for word in words])
    scored = None
    if places:
        gradients = []
        for number, word in enumerate(words):
            yield Step(number / len(words), f"Looking for what spoke for “{word.text}”")
            gradients.append(gradient(subject, word))
        scored = score(subject.grid, np.stack(gradients), bank.directions(places))
    evidence = evidence_of(bank)
    found = []
    pictures: dict[str, NDArray[np.uint8]] = {}
    for number, word in enumerate(words):
        own = [place for place in places if bank.concepts[place].word == word.text]
        if scored is None or not own:
            found.append(word.without(bank.why_none(word.text)))
            continue
        described = _of_word(bank, own, evidence)
        columns = [places.index(place) for place in own]
        part = Scores(scored.cells[columns], scored.presence[columns], scored.support[:, columns])
        concepts = in_frame(described, part, part.support[number], params.concepts)
        found.append(WordConcepts(word.text, word.index, concepts, ""))
        shown = {concept.picture for concept in concepts}
        pictures |= {
            bank.concepts[place].id: decoded_picture(bank.concepts[place].picture)
            for place in own
            if bank.concepts[place].id in shown
        }
    captioned = bank.about.captioned
    return Sought(tuple(found), frames=captioned, scenes=captioned, pictures=pictures)


def evidence_of(bank: Bank) -> list[Evidence]:
    """Judge all concepts of a bank, corrected for all tests that were made for it."""
    kept = [
        Tested(
            cavs=Cavs(each.direction[None], each.accuracy),
            tcav=each.tcav,
            tcav_random=each.tcav_random,
            p=each.p,
            scenes=each.scenes,
        )
        for each in bank.concepts
    ]
    fitted = bank.about.fitted.values()
    others = [replace(kept[0], p=p) for word in fitted for p in word.others] if kept else []
    return verdicts([*kept, *others])[: len(kept)]


def _of_word(bank: Bank, places: Sequence[int], evidence: Sequence[Evidence]) -> list[Known]:
    chosen = [(bank.concepts[place], evidence[place]) for place in places]
    return [Known(each.id, proof, each.id if each.picture else "") for each, proof in chosen]
