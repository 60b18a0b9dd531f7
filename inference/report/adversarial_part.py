"""The part of a report that tells how easily the captioner is fooled."""

import math
from collections.abc import Iterator

from inference.adversarial import AdversarialFindings
from inference.report.adversarial_summary import adversarial_summary
from inference.report.captions_part import captions_part
from inference.report.embedded import figure
from inference.report.markup import Content, Markup, element, join
from inference.report.regions_part import regions_part
from inference.report.sizes_part import curve_part, keywords_part, smallest_part
from inference.report.wording import amount, attack_name
from inference.report.wording import figure as number
from inference.report.words_part import words_part

ID, TITLE = "adversarial", "How easily is it fooled?"
_STORED = 0.5
"""Grey levels: what changes by less is rounded away in a picture of 8 bits."""


def adversarial_part(findings: AdversarialFindings) -> Iterator[Markup]:
    """Write the section, a piece at a time."""
    headline, *more = adversarial_summary(findings)
    yield join(
        Markup(f'<section id="{ID}" aria-labelledby="{ID}-title">'),
        element("h2", TITLE, id=f"{ID}-title"),
        element("p", headline, class_="headline"),
        element("p", " ".join(more), class_="lead") if more else None,
        captions_part(findings),
    )
    yield _pictures(findings)
    yield join(smallest_part(findings), keywords_part(findings.keywords))
    yield words_part(findings)
    yield curve_part(findings.curve)
    yield regions_part(findings)
    yield join(_meaning(findings), Markup("</section>"))


def _pictures(findings: AdversarialFindings) -> Markup:
    attacked = findings.attacked
    size = f"{attack_name(attacked.attack)}, {amount(attacked.epsilon, attacked.norm)}"
    times = f"{number(findings.magnified)} times"
    shown = {
        "clean": ("The picture as the captioner sees it", "Clean", ""),
        "attacked": (f"The attacked picture: {size}", "Attacked", size),
        "perturbation": (
            f"The perturbation, magnified {times} around grey",
            "Perturbation",
            f"magnified {times}; grey is no change",
        ),
        "map-before": (
            "Where the clean picture spoke for the caption, painted on it",
            "Map before",
            "what spoke for f(x)",
        ),
        "map-after": (
            "Where the attacked picture spoke for its caption, painted on it",
            "Map after",
            "what spoke for f(x+d)",
        ),
    }
    figures = [
        figure(findings.pictures[name], told, element("b", title), " ", note)
        for name, (told, title, note) in shown.items()
        if name in findings.pictures
    ]
    if not figures:
        return Markup()
    return join(
        element("h3", "What was added to the picture"),
        element("div", *figures, class_="pictures"),
    )


def _meaning(findings: AdversarialFindings) -> Markup:
    clean = findings.pictures.get("clean")
    side = f", {clean.shape[1]} by {clean.shape[0]} pixels" if clean is not None else ""
    whole = (
        f"{number(math.sqrt(clean.size))} in L2 is one grey level everywhere. "
        if clean is not None
        else ""
    )
    points: list[Content] = [
        f"Sizes are in grey levels of 0 to 255, of the picture as the captioner sees it{side}. In "
        "L∞ it is the most that any value changes; in L2, the root of the sum of all squares: "
        f"{whole}",
        "The smallest sizes are upper bounds. They were found by attacks and bisection: a smaller "
        "change may do, and where none was found there may be one.",
        "An attack knows the weights of the captioner and chooses every pixel. Such a change does "
        "not come about by chance: random noise of the same size is the control beside it.",
        "A log-probability is that of the word of the first caption, given the words before it: 0 "
        f"is certain, {number(-0.69)} one in two, {number(-4.6)} one in a hundred.",
        "A region that alone flips a word need not be where the thing is: the captioner reads the "
        "surroundings too.",
    ]
    if findings.attacked.hardened is not None:
        points.append(
            "The hardened decoder was trained on attacked pictures with their own captions, and "
            "reads the same encoder. A word that it keeps under the attack, and that the plain "
            "decoder loses, rested on features that a small change can turn: fragile ones. That "
            "does not say that the hardened decoder is right, nor that it cannot be fooled."
        )
    if any(
        each.epsilon is not None and each.epsilon < _STORED and each.norm == "linf"
        for each in findings.smallest
    ):
        points.append(
            "A change of less than half a grey level is lost as soon as the picture is stored in "
            "8 bits: it shows how near the border is, and not that such a file would fool anyone."
        )
    points.append("The pictures here are compressed, so that they no longer hold every pixel.")
    items = element("ul", *(element("li", point) for point in points))
    return element(
        "aside", element("h3", "What these figures mean, and what not"), items, class_="meaning"
    )
