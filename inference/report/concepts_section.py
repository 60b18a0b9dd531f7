"""The section of a report on concepts: its images and rows."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from inference.concepts import VERDICT_TEXTS, ConceptFindings, ConceptInFrame, WordConcepts
from inference.explanations import paint
from inference.report.formatting import number, quoted, signed
from inference.report.images import SMALL_SIDE, ReportImage, shrink
from inference.report.summary import summarize
from inference.webp import decode_webp


class ConceptsSection:
    """What the template `concepts.html.jinja` shows beside the findings themselves."""

    def __init__(self, findings: ConceptFindings, image: NDArray[np.uint8]) -> None:
        """Prepare the section; images are drawn when the template reaches them.

        Args:
            findings: About the image.
            image: RGB, uint8 [H, W, 3].
        """
        self.findings = findings
        self.headline, *self.lead = summarize(findings)
        self.known = [word for word in findings.words if word.concepts]
        self.verdicts = VERDICT_TEXTS
        self._image = shrink(image, SMALL_SIDE)

    def unknown(self) -> dict[str, list[str]]:
        """Return the words without concepts, in quotation marks, by the reason."""
        reasons: dict[str, list[str]] = {}
        for word in self.findings.words:
            if not word.concepts:
                reason = word.why_none or "none are known"
                reasons.setdefault(reason, []).append(quoted(word.text))
        return reasons

    def notes(self) -> list[str]:
        """Return the notes on the analysis, without those that are reasons of `unknown`."""
        reasons = {word.why_none for word in self.findings.words}
        return [note for note in self.findings.notes if note not in reasons]

    def undecided(self) -> list[str]:
        """Return the words with a concept whose test had too little evidence, sorted."""
        return sorted(
            {
                quoted(word.text)
                for word in self.known
                if any(each.evidence.verdict == "not enough evidence" for each in word.concepts)
            }
        )

    def concept_images(self, concept: ConceptInFrame) -> Iterator[ReportImage]:
        """Show what a concept looks like, if that is known, and where it is in the image."""
        illustration = self.findings.pictures.get(concept.picture)
        if illustration is not None:
            alt = f"What concept {concept.id} looks like"
            pixels = decode_webp(illustration)
            yield ReportImage(pixels, alt, note="What it looks like", max_side=SMALL_SIDE)
        alt = f"Map of concept {concept.id} on the image"
        painted = paint(self._image, concept.map)
        yield ReportImage(painted, alt, note="Where it is here", max_side=SMALL_SIDE)

    def effect(self, concept: ConceptInFrame, word: WordConcepts) -> str:
        """Describe in a sentence what a concept does to a word."""
        size = number(abs(concept.support))
        if concept.support >= 0:
            return f"Here it adds {size} to the logit of {quoted(word.text)}."
        return f"Here it subtracts {size} from the logit of {quoted(word.text)}."

    def support_bar(self, concept: ConceptInFrame, word: WordConcepts) -> float:
        """Return the support relative to the word's largest, in -1..1."""
        largest = max(abs(each.support) for each in word.concepts)
        return concept.support / largest if largest else 0.0

    def component_images(self) -> Iterator[ReportImage]:
        """Show where each component of the image is."""
        factors = self.findings.factors
        for place, component in enumerate(factors.components if factors else (), 1):
            yield ReportImage(
                paint(self._image, component.map),
                f"Map of component {place} on the image",
                f"Component {place}",
                f"{signed(-component.importance)} nats without it",
                SMALL_SIDE,
            )
