"""TODO."""

from inference.explanations.rendering.painting import COLOURS, OPACITIES, levels_of, paint
from inference.explanations.rendering.sheet import Tile, draw_sheet

__all__ = [
    "COLOURS",
    "OPACITIES",
    "Tile",
    "draw_sheet",
    "levels_of",
    "paint",
]
