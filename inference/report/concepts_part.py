"""The part of a report that tells in what concepts the captioner thinks."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from inference.concepts import ConceptFindings, ConceptInFrame, Factors, Verdict, WordConcepts
from inference.explanations import paint
from inference.report.charts import bar
from inference.report.concepts_summary import concepts_summary
from inference.report.embedded import SMALL, figure, fitted
from inference.report.markup import Content, Markup, element, join
from inference.report.tables import Column, table
from inference.report.wording import counted, listed, quoted, share, signed
from inference.report.wording import figure as number

ID, TITLE = "ace", "In what concepts does it think?"

VERDICTS: dict[Verdict, str] = {
    "supports": "speaks for the word",
    "opposes": "speaks against the word",
    "no effect": "no effect beyond chance",
    "not enough evidence": "not enough evidence",
}


def concepts_part(findings: ConceptFindings, picture: NDArray[np.uint8]) -> Iterator[Markup]:
    """Write the section, a piece at a time.

    Args:
        findings: About the picture.
        picture: RGB, uint8 [H, W, 3].
    """
    headline, *more = concepts_summary(findings)
    small = fitted(picture, SMALL)
    yield join(
        Markup(f'<section id="{ID}" aria-labelledby="{ID}-title">'),
        element("h2", TITLE, id=f"{ID}-title"),
        element("p", headline, class_="headline"),
        element("p", " ".join(more), class_="lead") if more else None,
        _from_where(findings),
    )
    for word in findings.words:
        if word.concepts:
            yield _word(word, findings, small)
    yield _unknown([word for word in findings.words if not word.concepts])
    if findings.factors:
        yield _factors(findings.factors, small)
    yield join(_notes(findings), _meaning(findings), Markup("</section>"))


def _from_where(findings: ConceptFindings) -> Markup:
    if not findings.frames:
        return Markup()
    pictures = counted(findings.frames, "picture", "pictures")
    scenes = counted(findings.scenes, "scene", "scenes")
    if findings.scope == "bank":
        told = f"The concepts are those of a bank that was fitted on {pictures} of {scenes}."
    else:
        told = f"The concepts were found in {pictures} of {scenes}."
    return element("p", told)


def _word(word: WordConcepts, findings: ConceptFindings, picture: NDArray[np.uint8]) -> Markup:
    heading = element("h3", "Concepts of ", element("q", word.text, lang="en"))
    cards = [_card(each, word, findings, picture) for each in word.concepts]
    return join(heading, element("ul", *cards, class_="cards"), _table(word))


def _unknown(words: Sequence[WordConcepts]) -> Markup:
    """Tell why words have no concepts, those with the same reason together."""
    if not words:
        return Markup()
    reasons: dict[str, list[str]] = {}
    for word in words:
        reasons.setdefault(word.why_none or "none are known", []).append(quoted(word.text))
    items = [element("li", f"{listed(texts)}: {why}") for why, texts in reasons.items()]
    return join(element("h3", "Words without concepts"), element("ul", *items, class_="reasons"))


def _card(
    concept: ConceptInFrame,
    word: WordConcepts,
    findings: ConceptFindings,
    picture: NDArray[np.uint8],
) -> Markup:
    look = findings.pictures.get(concept.picture)
    told = f"Where the picture has concept {concept.id}, painted on it"
    images = [figure(paint(picture, concept.map), told, "Where it is here", largest=SMALL)]
    if look is not None:
        told = f"What concept {concept.id} looks like"
        images.insert(0, figure(look, told, "What it looks like", largest=SMALL))
    verdict = VERDICTS[concept.evidence.verdict]
    adds = "adds" if concept.support >= 0 else "takes off"
    effect = (
        f"Here it {adds} {number(abs(concept.support))} "
        f"{'to' if concept.support >= 0 else 'from'} the logit of “{word.text}”."
    )
    return element(
        "li",
        element("div", *images, class_="pair"),
        element("h4", concept.id),
        element("p", effect),
        element("p", element("b", "Over scenes: "), verdict, class_="verdict"),
    )


def _table(word: WordConcepts) -> Markup:
    columns = [
        Column("Concept"),
        Column("Presence", numbers=True),
        Column("Support", numbers=True),
        Column("TCAV", numbers=True),
        Column("random", numbers=True),
        Column("p", numbers=True),
        Column("Scenes", numbers=True),
        Column("Verdict"),
    ]
    most = max(abs(each.support) for each in word.concepts)
    rows = [_row(each, most) for each in word.concepts]
    caption = (
        f"Concepts of “{word.text}”: presence in standard deviations above other pictures, support "
        "as what it adds to the logit of the word here, TCAV as the share of scenes in which more "
        "of it raises the word, beside that of random directions; p after correction for all tests."
    )
    return table(caption, columns, rows, f"Concepts of {word.text}")


def _row(concept: ConceptInFrame, most: float) -> list[Content]:
    evidence = concept.evidence
    return [
        concept.id,
        signed(concept.presence),
        join(bar(concept.support, most), " ", signed(concept.support)),
        "not tested" if evidence.tcav is None else share(evidence.tcav),
        "not tested" if evidence.tcav_random is None else share(evidence.tcav_random),
        "not tested" if evidence.p is None else _p(evidence.p),
        evidence.scenes,
        VERDICTS[evidence.verdict],
    ]


def _p(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _factors(factors: Factors, picture: NDArray[np.uint8]) -> Markup:
    shown = [
        figure(
            paint(picture, part.map),
            f"Where part {index} of the picture is, painted on it",
            element("b", f"Part {index}"),
            f" {signed(-part.importance)} nats without it",
            largest=SMALL,
        )
        for index, part in enumerate(factors.components, 1)
    ]
    columns = [
        Column("Part"),
        Column("Importance", numbers=True),
        Column("Words that lose most without it"),
    ]
    rows: list[list[Content]] = [
        [f"Part {index}", number(part.importance), ", ".join(part.words) or "none"]
        for index, part in enumerate(factors.components, 1)
    ]
    caption = (
        "Parts of what the decoder looks at; importance is how far the mean log-probability of the "
        "words of the caption falls without the part, in nats."
    )
    said = element("q", factors.caption or "(no words)", lang="en")
    return join(
        element("h3", "What this picture is made of"),
        element(
            "p",
            f"{counted(len(factors.components), 'part makes', 'parts make').capitalize()} up "
            f"{share(factors.explained)} of what the decoder looks at (non-negative matrix "
            "factorisation). Of these parts alone it says ",
            said,
            f": {share(factors.agreement)} of the words of the caption.",
        ),
        element("div", *shown, class_="pictures small"),
        table(caption, columns, rows, "What this picture is made of"),
    )


def _notes(findings: ConceptFindings) -> Markup:
    told = {word.why_none for word in findings.words}
    notes = [note for note in findings.notes if note not in told]
    if not notes:
        return Markup()
    items = element("ul", *(element("li", f"{note[:1].upper()}{note[1:]}") for note in notes))
    return element("aside", element("h3", "To know about this analysis"), items, class_="meaning")


def _meaning(findings: ConceptFindings) -> Markup:
    unknown = sorted(
        {
            w.text
            for w in findings.words
            if any(c.evidence.verdict == "not enough evidence" for c in w.concepts)
        }
    )
    pictures = (
        "The pictures of concepts of the bank are generated or abstracted: no photograph of the "
        "training data is kept."
        if findings.scope == "bank"
        else "The pictures of concepts are pieces of the pictures in which they were found."
    )
    known = [
        "A concept is a direction in what the encoder computes. It has a number and no name: what "
        "it stands for is for you to judge, from its picture and from where it is.",
        "Presence tells how much of the concept is in the picture, support what it does for the "
        "word here. Neither shows by itself that the captioner relies on it.",
        "That is what the test over scenes is for (TCAV): in how many scenes more of the concept "
        "raises the word, against random directions. Frames that resemble each other count as one "
        "scene, and p is corrected for all tests that were made.",
        "“No effect” means that the test could have shown one and did not. “Not enough evidence” "
        "means that it could not tell"
        + (f", as for {listed([quoted(text) for text in unknown])}." if unknown else "."),
        pictures,
    ]
    parts = (
        "A part is a pattern that the encoder found in this picture alone. Where the words of the "
        "caption become likelier without it, it spoke for something else."
    )
    points = known if any(word.concepts for word in findings.words) else []
    points += [parts] if findings.factors else []
    if not points:
        return Markup()
    items = element("ul", *(element("li", point) for point in points))
    return element(
        "aside", element("h3", "What these figures mean, and what not"), items, class_="meaning"
    )
