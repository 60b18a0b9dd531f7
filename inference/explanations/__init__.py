"""Where the captioner looked for a word, and what would have changed its mind."""

from inference.explanations.map import CaptionMaps, Check, Map, pooled
from inference.explanations.rendering import COLOURS, OPACITIES, Tile, draw_sheet, levels_of, paint
from inference.explanations.target import Kind, MethodCard, Target

__all__ = [
    "COLOURS",
    "OPACITIES",
    "CaptionMaps",
    "Check",
    "Kind",
    "Map",
    "MethodCard",
    "Target",
    "Tile",
    "draw_sheet",
    "levels_of",
    "paint",
    "pooled",
]
