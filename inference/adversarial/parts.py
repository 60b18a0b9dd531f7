"""What an adversarial analysis is expected to take."""

from inference.adversarial.params import AdversarialParams
from inference.adversarial.progress import Part
from inference.adversarial.word_attacks import is_object
from inference.explanations.subject import Subject

_LOOK_S, _PASS_S = 0.025, 0.09
"""To encode a picture and to search for its caption; to go back to the pixels as well."""


def parts(subject: Subject, params: AdversarialParams, keywords: int) -> dict[str, Part]:
    """List the parts in their order, with the seconds and slices that were measured of them.

    Args:
        subject: The picture and its caption.
        params: What is asked.
        keywords: How many words are to be said or lost.
    """
    words = subject.model.captioner.vocabulary.decode(subject.words)
    objects = sum(map(is_object, words))
    steps, draws = params.steps, params.draws
    segments = len(words) * params.segments
    return {
        "ready": Part("Getting ready", 0.3, 5),
        "caption": _part("Searching for the smallest change of the caption", 20, 5 * steps),
        "words": _part(
            "Searching for the smallest change of each word",
            13 * len(words) + segments // 4,
            4 * steps * objects / 2 + len(words),
        ),
        "keywords": _part("Attacking a word wherever it stands", 8, 3 * steps * keywords),
        "shown": _part("Attacking until something else is said", 4, 2 * steps),
        "curve": Part(
            "Comparing with random noise",
            16 * _PASS_S + 8 * (1 + draws) * _LOOK_S,
            24 + 4 * draws,
        ),
        "noise": _part("Comparing with random noise", draws / 2, 0),
        "pictures": _part("Drawing pictures", 3, 0),
    }


def _part(doing: str, looks: float, passes: float) -> Part:
    return Part(doing, looks * _LOOK_S + passes * _PASS_S, looks + passes)
