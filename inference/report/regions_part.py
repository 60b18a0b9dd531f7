"""Which parts of the picture suffice to flip which words."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.adversarial import AdversarialFindings, Regions
from inference.report.embedded import figure
from inference.report.markup import Content, Markup, element, join
from inference.report.tables import Column, table
from inference.report.wording import amount, counted
from inference.report.words_part import becomes

_DIMMED = 0.3
"""Of its contrast and its lightness, what is left of a picture outside the regions."""
_PICTURES = 8
"""Words that are shown with their regions, at most."""


def regions_part(findings: AdversarialFindings) -> Markup:
    """Show the regions that alone flip a word, and say where they are."""
    regions, heading = findings.regions, element("h3", "Which regions suffice")
    size = amount(regions.epsilon, "linf")
    about = (
        f"The picture was cut into {counted(regions.count, 'region', 'regions')}, and each was "
        f"attacked by itself, within {size}, with all else left as it is."
    )
    flipped = [word for word in findings.words if word.regions]
    if not flipped:
        told = f"{about} No region alone flips a word."
        return join(heading, element("p", told), _outlined(findings))
    clean = findings.pictures.get("clean")
    shown: list[Markup] = [_outlined(findings)]
    for word in flipped[:_PICTURES] if clean is not None else []:
        assert clean is not None
        where = places(regions, word.regions)
        told = f"Regions that alone flip “{word.text}”: {where}"
        picture = lit(clean, regions.labels, word.regions)
        shown.append(
            figure(
                picture, told, element("b", word.text), f" {len(word.regions)} of {regions.count}"
            )
        )
    columns = [Column("Word"), Column("Becomes"), Column("Regions", numbers=True), Column("Where")]
    rows: list[list[Content]] = [
        [
            word.text,
            becomes(word),
            len(word.regions),
            places(regions, word.regions),
        ]
        for word in flipped
    ]
    caption = f"Regions that alone suffice to flip a word, attacked within {size}."
    return join(
        heading,
        element("p", about),
        element("div", *shown, class_="pictures small"),
        table(caption, columns, rows, "Which regions suffice"),
    )


def lit(
    picture: NDArray[np.uint8], labels: NDArray[np.int32], chosen: Sequence[int]
) -> NDArray[np.uint8]:
    """Dim all of a picture but some regions, and draw a line around these.

    Args:
        picture: RGB, uint8 [S, S, 3].
        labels: [S, S], the region of each pixel.
        chosen: The regions' labels.
    """
    seen = np.isin(labels, chosen)
    grey = np.repeat(picture.mean(axis=-1, keepdims=True) * _DIMMED, 3, axis=-1)
    drawn = np.where(seen[..., None], picture, grey)
    framed = np.pad(seen, 1, mode="edge")
    neighbours = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
    edge = ~seen & np.logical_or.reduce(neighbours)
    drawn[edge] = 255
    return np.asarray(drawn, np.uint8)


def places(regions: Regions, chosen: Sequence[int]) -> str:
    """Name regions by where their middle is: "3 (upper left), 7 (centre)"."""
    return ", ".join(f"{label} ({_place(regions.labels, label)})" for label in chosen)


def _place(labels: NDArray[np.int32], label: int) -> str:
    rows, columns = np.nonzero(labels == label)
    if not len(rows):
        return "nowhere"
    height, width = labels.shape
    upright = ("upper", "", "lower")[min(2, int(3 * (rows.mean() + 0.5) / height))]
    aside = ("left", "", "right")[min(2, int(3 * (columns.mean() + 0.5) / width))]
    return f"{upright} {aside}".strip() or "centre"


def _outlined(findings: AdversarialFindings) -> Markup:
    outlined = findings.pictures.get("regions")
    if outlined is None:
        return Markup()
    told = f"The picture with the outlines of its {findings.regions.count} regions"
    return figure(outlined, told, element("b", "All regions"))
