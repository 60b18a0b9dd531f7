"""The part of a report that shows maps: which places spoke for what was said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from inference.explanations import Tile
from inference.report.embedded import figure
from inference.report.markup import Markup, element, join

ID, TITLE = "maps", "What spoke for it"
_TILE = 240
"""Pixels of the longer side of a map."""


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """The maps of one method, painted."""

    title: str
    notes: tuple[str, ...]
    """Where the method is defined, and what to know of the maps."""
    unit: str
    """Of the maps' values."""
    tiles: tuple[Tile, ...]


def methods_part(methods: Sequence[Maps]) -> Iterator[Markup]:
    """Write the section, a piece at a time."""
    yield join(
        Markup(f'<section id="{ID}" aria-labelledby="{ID}-title">'),
        element("h2", TITLE, id=f"{ID}-title"),
        element(
            "p",
            "Each map shows which places of the picture spoke for a word, by one method: from "
            "dark purple to yellow, each map up to its own peak.",
        ),
    )
    for maps in methods:
        yield join(
            element("h3", maps.title),
            *(element("p", note, class_="note") for note in maps.notes),
            element("p", f"Unit of the maps: {maps.unit}.", class_="note"),
            element("div", *(_shown(tile, maps.title) for tile in maps.tiles), class_="pictures"),
        )
    yield Markup("</section>")


def _shown(tile: Tile, method: str) -> Markup:
    told = f"{method} of {tile.title}, painted on the picture"
    return figure(tile.picture, told, element("b", tile.title), f" {tile.note}", largest=_TILE)
