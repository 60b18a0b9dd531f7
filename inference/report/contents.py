"""What a captioner says of a picture, and every explanation of it."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.captioning import Caption, Tag, Timing, Word
from inference.captioning.decoding import Reader
from inference.captioning.model import CaptionModel
from inference.explanations import Check, Map, Target
from inference.explanations.masking import blank_check
from inference.explanations.method import Method
from inference.explanations.methods import METHODS
from inference.explanations.subject import Subject
from inference.progress import ProgressPrinter, followed
from inference.word_kinds import word_kind
from models.captioner import BeamCaption
from models.checkpoint import Card
from models.language import PAD

WHOLE = "whole caption"


def method_file(name: str) -> str:
    """Name the picture of a method."""
    return f"{name}.png"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One map."""

    of: Target
    title: str
    """The word or the tag, or "whole caption"."""
    map: Map


@dataclass(frozen=True, slots=True)
class Explained:
    """The maps of one method."""

    method: Method
    explanations: tuple[Explanation, ...]
    took_ms: float


@dataclass(frozen=True, slots=True)
class Contents:
    """What there is to report of a picture."""

    picture: NDArray[np.uint8]
    """RGB, uint8 [H, W, 3]."""
    card: Card
    caption: Caption
    """As it is said, which may be less than was found."""
    words: tuple[Word, ...]
    """Of all that was found."""
    tokens: tuple[int, ...]
    """Of these words and their end, as the search found them."""
    methods: tuple[Explained, ...]
    checks: dict[int, Check]
    """Of object words by their place: whether their regions matter, see `blank_check`."""
    checked_by: str | None
    """The method whose maps tell the regions; None if none of them explains words."""
    checks_ms: float

    def to_json(self) -> dict[str, Any]:
        """Return what there is to add to `Document.to_json`, as JSON values.

        Returns:
            - `words`, of all that was found: `text`, `prob`, `kind` (object, function or other),
              `alternatives` (`text`, `prob`) and `check`, null but for objects: `share` of the
              picture that was blanked, p(word) before (`prob`), after (`blanked`), and after as
              much of other places was blanked (`random`: lowest, median, highest).
            - `tags`: `text`, `prob`.
            - `checked_by`: the method whose maps told what to blank.
            - `methods`: `name`, `title`, `paper`, `cost`, `unit`, the `file` that shows it,
              `took_ms`, and `maps`: `of` (`kind` word, caption or tag, `index`, `text`), `shape`,
              `data` (base64 of a byte a cell, row by row, 255 at the peak), `peak` (in the
              method's unit) and `peak_at` (`x` and `y` of the middle of that cell, 0..1 from the
              upper left).
            - `timing_ms`: `encoder`, `decoder`, `explanations`, `checks`.
        """
        caption = self.caption
        return {
            "words": [
                {
                    **asdict(word),
                    "kind": word_kind(word.text),
                    "check": self.checks[place].to_json() if place in self.checks else None,
                }
                for place, word in enumerate(self.words)
            ],
            "tags": [asdict(tag) for tag in caption.tags],
            "checked_by": self.checked_by,
            "methods": [_method_json(each) for each in self.methods],
            "timing_ms": {
                "encoder": round(caption.timing_ms.encoder, 1),
                "decoder": round(caption.timing_ms.decoder, 1),
                "explanations": round(sum(each.took_ms for each in self.methods), 1),
                "checks": round(self.checks_ms, 1),
            },
        }


def explain_picture(
    model: CaptionModel,
    picture: NDArray[np.uint8],
    methods: Sequence[str],
    progress: ProgressPrinter,
) -> Contents:
    """Caption a picture and explain what is said.

    Args:
        model: The captioner.
        picture: RGB, uint8 [H, W, 3] of any size.
        methods: Names of `METHODS`. The first that explains words is the one that
            is checked.
        progress: Told of each method, and of the checks if there are any, and how far it is.

    Raises:
        ValueError: If the picture is no such picture.
    """
    model.check(picture)
    chosen = [METHODS[name] for name in methods]
    begun = time.perf_counter()
    grids = model.encode([picture])
    encoded = time.perf_counter()
    found = BeamCaption(*(part[0] for part in model.search(grids)))
    decoded = time.perf_counter()
    timing = Timing(encoder=(encoded - begun) * 1e3, decoder=(decoded - encoded) * 1e3)
    caption = model.read(found, grids[0], timing)
    # Without doubt: also what was too doubtful to be said is explained.
    whole = Reader(model.captioner.vocabulary, None).read(found, grids[0], (), timing)
    tokens = tuple(int(token) for token in found.tokens[found.tokens != PAD])
    subject = Subject(model, picture, tokens)
    explained = []
    for method in chosen:
        progress.begin(method.title)
        targets = list(_targets(method, whole.words, caption.tags))
        explained.append(_explained(subject, method, targets, progress))
    checker = next((method for method in chosen if "word" in method.kinds), None)
    begun = time.perf_counter()
    checks = _checks(subject, explained, checker, progress) if checker else {}
    return Contents(
        picture=picture,
        card=model.card,
        caption=caption,
        words=whole.words,
        tokens=tokens,
        methods=tuple(explained),
        checks=checks,
        checked_by=checker.name if checker else None,
        checks_ms=(time.perf_counter() - begun) * 1e3,
    )


def _explained(
    subject: Subject,
    method: Method,
    targets: Sequence[tuple[Target, str]],
    progress: ProgressPrinter,
) -> Explained:
    begun = time.perf_counter()
    explanations = []
    for index, (target, title) in enumerate(targets):
        shares = index / len(targets), (index + 1) / len(targets)
        found = followed(method.explain(subject, target), progress, *shares)
        explanations.append(Explanation(target, title, found))
    return Explained(method, tuple(explanations), (time.perf_counter() - begun) * 1e3)


def _targets(
    method: Method, words: Sequence[Word], tags: Sequence[Tag]
) -> Iterator[tuple[Target, str]]:
    """What there is to explain, and what to call it: of slow methods, not every word."""
    if words and "caption" in method.kinds:
        yield Target("caption"), WHOLE
    if "word" in method.kinds:
        for index, word in enumerate(words):
            if not method.slow or word_kind(word.text) == "object":
                yield Target("word", index), word.text
    if "tag" in method.kinds and not method.slow:
        for tag in tags:
            yield Target("tag", text=tag.text), tag.text


def _checks(
    subject: Subject, explained: Sequence[Explained], checker: Method, progress: ProgressPrinter
) -> dict[int, Check]:
    progress.begin("whether the maps are true")
    (own,) = (each.explanations for each in explained if each.method is checker)
    names = subject.model.captioner.vocabulary.words
    objects = {
        each.of.index: each.map
        for each in own
        if each.of.kind == "word"
        and each.of.index is not None
        and word_kind(names[subject.tokens[each.of.index]]) == "object"
    }
    checks = {}
    for number, (index, found) in enumerate(objects.items()):
        shares = number / len(objects), (number + 1) / len(objects)
        checks[index] = followed(blank_check(subject, found, index), progress, *shares)
    return checks


def _method_json(explained: Explained) -> dict[str, Any]:
    method = explained.method
    return {
        "name": method.name,
        "title": method.title,
        "paper": method.paper,
        "cost": method.cost,
        "unit": method.unit,
        "file": method_file(method.name),
        "took_ms": round(explained.took_ms, 1),
        "maps": [
            {"of": each.of.to_json(), **each.map.to_json(), "peak_at": _peak_at(each.map)}
            for each in explained.explanations
        ],
    }


def _peak_at(explanation: Map) -> dict[str, float]:
    rows, columns = explanation.values.shape
    row, column = divmod(int(explanation.values.argmax()), columns)
    return {"x": round((column + 0.5) / columns, 4), "y": round((row + 0.5) / rows, 4)}
