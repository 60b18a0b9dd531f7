"""The page of a report: one file that opens without a network, a server or a script."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from inference.captioning import Caption
from inference.report import adversarial_part, concepts_part, methods_part
from inference.report.document import Document
from inference.report.embedded import embedded
from inference.report.markup import Markup, element, join
from inference.report.wording import share

_MARK = Markup(
    '<svg viewBox="0 0 44 16" width="44" height="16" aria-hidden="true" focusable="false">'
    '<circle class="eye" cx="5" cy="8" r="5"/><path class="track" d="M5 8h27"/>'
    '<circle class="track" cx="37" cy="8" r="5"/></svg>'
)


def page(document: Document) -> Iterator[Markup]:
    """Write the page, a piece at a time: each takes little."""
    said = _said(document.caption)
    yield join(
        Markup('<!doctype html>\n<html lang="en">\n'),
        element(
            "head",
            element("meta", charset="utf-8"),
            element("meta", name="viewport", content="width=device-width, initial-scale=1"),
            element("meta", name="color-scheme", content="light dark"),
            element("title", f"{said}: a report by Sightline"),
            element("style", _style()),
        ),
        Markup("\n<body>\n"),
        element(
            "header", element("p", _MARK, " Sightline", class_="brand"), element("p", "Report")
        ),
        Markup("\n<main>\n"),
        _captioned(document, said),
        _contents(document),
    )
    if document.adversarial:
        yield from adversarial_part.adversarial_part(document.adversarial)
    if document.concepts:
        yield from concepts_part.concepts_part(document.concepts, document.picture)
    if document.methods:
        yield from methods_part.methods_part(document.methods)
    yield join(Markup("\n</main>\n"), _foot(document), Markup("\n</body>\n</html>\n"))


def _captioned(document: Document, said: str) -> Markup:
    """The picture with its caption, as on a screen."""
    caption = document.caption
    facts = [element("li", f"{share(caption.confidence)} sure")]
    if caption.fallback:
        facts.append(
            element("li", "too doubtful to be said; said instead: ", caption.text or "nothing")
        )
    facts += [element("li", f"{tag.text} {share(tag.prob)}") for tag in caption.tags]
    height, width = document.picture.shape[:2]
    facts.append(element("li", f"{document.name or 'picture'}, {width} by {height} pixels"))
    return element(
        "div",
        embedded(document.picture, f"The picture that was captioned “{said}”"),
        element(
            "div",
            element("p", "The caption", class_="kicker"),
            element("h1", said, lang="en"),
            element("ul", *facts, class_="facts"),
        ),
        class_="screen",
    )


def _said(caption: Caption) -> str:
    """All that was found, also if it was too doubtful to be said: that is what is explained."""
    return caption.guess or caption.text or "(no words)"


def _contents(document: Document) -> Markup:
    there = [
        (part.ID, part.TITLE)
        for part, given in (
            (adversarial_part, document.adversarial),
            (concepts_part, document.concepts),
            (methods_part, document.methods),
        )
        if given
    ]
    if len(there) < 2:
        return Markup()
    items = [element("li", element("a", title, href=f"#{ref}")) for ref, title in there]
    return element("nav", element("ol", *items), aria_label="Parts of this report")


def _foot(document: Document) -> Markup:
    captioner = document.captioner
    return element(
        "footer",
        element("p", f"Captioner: {captioner.name}. Trained on: {captioner.data}."),
        element("p", f"Licence: {captioner.licence}."),
        element("p", "This file needs no network and runs no script."),
    )


@cache
def _style() -> Markup:
    """The style sheet, which is our own: it is not escaped."""
    return Markup((Path(__file__).parent / "report.css").read_text(encoding="utf-8"))
