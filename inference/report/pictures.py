"""The pictures of a report: one with every word, and one of each method."""

from collections.abc import Iterator, Sequence

from PIL import Image

from inference.captioning import Caption
from inference.explanations import Tile, draw_sheet, paint
from inference.report.contents import Contents, Explained, Explanation
from inference.report.embedded import fitted
from inference.report.methods_part import Maps

_LARGEST = 640
"""Pixels of the longer side in which maps are painted; no tile is larger."""


def words_sheet(contents: Contents) -> Image.Image | None:
    """Draw every word by the method that is checked; None if there are no words or no method."""
    for explained in contents.methods:
        words = [each for each in explained.explanations if each.of.kind == "word"]
        if words and explained.method.name == contents.checked_by:
            return _draw(contents, _maps(contents, explained, words, checked=True))
    return None


def method_sheets(contents: Contents) -> Iterator[tuple[Explained, Image.Image]]:
    """Draw all that each method explains; methods that explain nothing here are left out."""
    for explained in contents.methods:
        if explained.explanations:
            maps = _maps(contents, explained, explained.explanations, checked=False)
            yield explained, _draw(contents, maps)


def painted_maps(contents: Contents) -> tuple[Maps, ...]:
    """Paint all that each method explains, with the checks of the one that was checked."""
    return tuple(
        _maps(
            contents,
            explained,
            explained.explanations,
            checked=explained.method.name == contents.checked_by,
        )
        for explained in contents.methods
        if explained.explanations
    )


def _draw(contents: Contents, maps: Maps) -> Image.Image:
    picture = Tile(fitted(contents.picture, _LARGEST), "The picture", "")
    tiles = [picture, *maps.tiles]
    notes = [f"{maps.title}: {maps.notes[0]}", *maps.notes[1:]]
    return draw_sheet(_heading(contents.caption), notes, tiles, maps.unit)


def _maps(
    contents: Contents,
    explained: Explained,
    explanations: Sequence[Explanation],
    *,
    checked: bool,
) -> Maps:
    picture = fitted(contents.picture, _LARGEST)
    method = explained.method
    tiles = [
        Tile(paint(picture, each.map), each.title, _note(contents, each, checked=checked))
        for each in explanations
    ]
    notes = [method.paper]
    if checked and contents.checks:
        share = next(iter(contents.checks.values())).share
        notes.append(
            f"Under a word: how sure of it. Under an object also how sure when the top {share:.0%} "
            "of its map are blanked, and when as much elsewhere is."
        )
    return Maps(method.title, tuple(notes), method.unit, tuple(tiles))


def _heading(caption: Caption) -> str:
    if caption.fallback:
        return f"Not sure. Perhaps: {caption.guess} ({caption.confidence:.0%} sure)"
    return f"{caption.text} ({caption.confidence:.0%} sure)"


def _note(contents: Contents, explanation: Explanation, *, checked: bool) -> str:
    target = explanation.of
    if target.kind == "tag":
        (prob,) = (tag.prob for tag in contents.caption.tags if tag.text == target.text)
        return f"object, {prob:.0%} sure"
    if target.index is None:
        return "all words together"
    check = contents.checks.get(target.index)
    sure = f"{contents.words[target.index].prob:.0%}"
    if check is None or not checked:
        return f"{sure} sure"
    return f"{sure}; blanked {check.blanked:.0%}, elsewhere {check.random[1]:.0%}"
